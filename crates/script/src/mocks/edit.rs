//! Changing the text: what stands for the names of imports, and what the calls become.

use oxc::ast::ast::*;
use oxc::ast_visit::{Visit, walk};
use oxc::semantic::Scoping;

use super::find::{Call, Method};
use super::{ACTUAL, Uses};

/// A range and what it becomes, in the order of the text; none overlaps another.
pub(super) type Edit = (u32, u32, String);

pub(super) fn edits(program: &Program, scoping: &Scoping, calls: &[Call], uses: &Uses) -> Vec<Edit> {
    let mut visitor = Visitor { scoping, uses, edits: calls.iter().flat_map(of_call).collect() };
    visitor.visit_program(program);
    visitor.edits.sort_by_key(|(from, _, _)| *from);
    visitor.edits
}

/// The runtime takes the calls that the build has seen under another name.
fn of_call(call: &Call) -> Vec<Edit> {
    let Some(specifier) = &call.specifier else { return Vec::new() };
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let first = (call.specifier_span.start, call.specifier_span.end);
    match call.method {
        Method::Hoisted => Vec::new(),
        Method::ImportActual => {
            let import = format!("import({})", quoted(&format!("{ACTUAL}{specifier}")));
            vec![(call.span.start, call.span.end, import)]
        }
        method => vec![
            (call.name_span.start, call.name_span.end, format!("${}", method.name())),
            (first.0, first.1, quoted(specifier)),
        ],
    }
}

struct Visitor<'s> {
    scoping: &'s Scoping,
    uses: &'s Uses,
    edits: Vec<Edit>,
}

impl Visitor<'_> {
    fn stands_for(&self, identifier: &IdentifierReference) -> Option<&str> {
        let symbol = self.scoping.get_reference(identifier.reference_id.get()?).symbol_id()?;
        self.uses.get(&symbol).map(String::as_str)
    }

    /// What is called is no method of the namespace.
    fn callee(&mut self, callee: &Expression) -> bool {
        let Expression::Identifier(identifier) = callee else { return false };
        let Some(text) = self.stands_for(identifier) else { return false };
        let text = format!("(0, {text})");
        self.edits.push((identifier.span.start, identifier.span.end, text));
        true
    }
}

impl<'a> Visit<'a> for Visitor<'_> {
    fn visit_identifier_reference(&mut self, it: &IdentifierReference<'a>) {
        if let Some(text) = self.stands_for(it) {
            let text = text.to_string();
            self.edits.push((it.span.start, it.span.end, text));
        }
    }

    fn visit_object_property(&mut self, it: &ObjectProperty<'a>) {
        if it.shorthand
            && let Expression::Identifier(value) = &it.value
            && let Some(text) = self.stands_for(value)
        {
            let text = format!("{}: {text}", value.name);
            self.edits.push((it.span.start, it.span.end, text));
            return;
        }
        walk::walk_object_property(self, it);
    }

    fn visit_call_expression(&mut self, it: &CallExpression<'a>) {
        if self.callee(&it.callee) {
            return it.arguments.iter().for_each(|argument| self.visit_argument(argument));
        }
        walk::walk_call_expression(self, it);
    }

    fn visit_tagged_template_expression(&mut self, it: &TaggedTemplateExpression<'a>) {
        if self.callee(&it.tag) {
            return self.visit_template_literal(&it.quasi);
        }
        walk::walk_tagged_template_expression(self, it);
    }
}

/// Writes parts of a text, in any order, and remembers where they went.
pub(super) struct Writer<'t> {
    text: &'t str,
    edits: Vec<Edit>,
    out: String,
    kept: Vec<(usize, usize, usize)>,
}

impl<'t> Writer<'t> {
    pub(super) fn new(text: &'t str, edits: Vec<Edit>) -> Self {
        Self { text, edits, out: String::with_capacity(text.len() * 2), kept: Vec::new() }
    }

    pub(super) fn write(&mut self, text: &str) {
        self.out.push_str(text);
    }

    pub(super) fn copy(&mut self, from: u32, to: u32) {
        let mut at = from;
        let first = self.edits.partition_point(|(start, _, _)| *start < from);
        for index in first..self.edits.len() {
            let (start, end) = (self.edits[index].0, self.edits[index].1);
            if start >= to {
                break;
            }
            // What lies within a range that was replaced has gone with it.
            if start < at {
                continue;
            }
            self.keep(at, start);
            // A place that was replaced is still the place of what replaced it.
            self.kept.push((start as usize, end as usize, self.out.len()));
            self.out.push_str(&self.edits[index].2);
            at = end;
        }
        self.keep(at, to);
    }

    fn keep(&mut self, from: u32, to: u32) {
        if from < to {
            self.kept.push((from as usize, to as usize, self.out.len()));
            self.out.push_str(&self.text[from as usize..to as usize]);
        }
    }

    pub(super) fn finish(self) -> (String, Vec<(usize, usize, usize)>) {
        (self.out, self.kept)
    }
}
