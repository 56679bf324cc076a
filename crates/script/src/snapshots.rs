//! Writing inline snapshots into a file of tests, without touching anything else of it.

use oxc::allocator::Allocator;
use oxc::ast::ast::*;
use oxc::ast_visit::{Visit, walk};
use oxc::parser::Parser;
use oxc::span::{GetSpan, Span};

use crate::content::Content;
use crate::source_map::offset;

/// What a matcher compared with, and where it was called: line and column of its name, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InlineSnapshot {
    pub line: u32,
    pub column: u32,
    pub text: String,
}

const MATCHERS: [&str; 2] = ["toMatchInlineSnapshot", "toThrowErrorMatchingInlineSnapshot"];

/// The text of a file with these snapshots in place of those that stand there.
pub(crate) fn write(name: &str, text: &str, snapshots: &[InlineSnapshot]) -> Result<String, String> {
    let Content::Script(source_type) = Content::of(name.as_ref()) else { return Err("it is no script".into()) };
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, text, source_type).parse();
    let mut calls = Calls { found: Vec::new() };
    calls.visit_program(&parsed.program);
    let mut edits: Vec<(Span, String)> = Vec::new();
    for snapshot in snapshots {
        let place = offset(text, snapshot.line, snapshot.column).ok_or("it has changed meanwhile")?;
        let line = line_of(text, place);
        let near = calls.found.iter().filter(|call| line_of(text, call.name) == line);
        let call = near
            .min_by_key(|call| call.name.abs_diff(place))
            .ok_or_else(|| format!("there is no call of a matcher of snapshots in line {}", snapshot.line))?;
        let written = literal(&snapshot.text, indent_of(text, call.name));
        let Some(span) = call.literal else {
            return Err(format!("what the matcher in line {} is given is no literal", snapshot.line));
        };
        edits.push((span, written));
    }
    edits.sort_by_key(|(span, _)| span.start);
    let mut out = String::with_capacity(text.len() + 256);
    let mut at = 0;
    for (span, written) in edits {
        out.push_str(&text[at..span.start as usize]);
        out.push_str(&written);
        at = span.end as usize;
    }
    out.push_str(&text[at..]);
    Ok(out)
}

fn line_of(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count()
}

/// The white space that the line of a place begins with.
fn indent_of(text: &str, offset: usize) -> &str {
    let line = text[..offset].rsplit('\n').next().unwrap_or_default();
    &line[..line.len() - line.trim_start().len()]
}

/// As Vitest writes it: lines of their own, two columns deeper than the call, if there are several.
fn literal(text: &str, indent: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('`', "\\`").replace("${", "\\${");
    if !escaped.contains('\n') {
        return format!("`{escaped}`");
    }
    let step = if indent.contains('\t') { "\t" } else { "  " };
    let lines = escaped.split('\n').map(|line| match line {
        "" => String::new(),
        line => format!("{indent}{step}{line}"),
    });
    format!("`\n{}\n{indent}`", lines.collect::<Vec<_>>().join("\n"))
}

/// A call of a matcher.
struct MatcherCall {
    /// Where its name stands.
    name: usize,
    /// The snapshot that it is given, or where one goes; `None` if it is given something else.
    literal: Option<Span>,
}

struct Calls {
    found: Vec<MatcherCall>,
}

impl<'a> Visit<'a> for Calls {
    fn visit_call_expression(&mut self, it: &CallExpression<'a>) {
        if let Expression::StaticMemberExpression(member) = &it.callee
            && MATCHERS.contains(&member.property.name.as_str())
        {
            let literal = match it.arguments.last() {
                None => Some(Span::new(it.span.end - 1, it.span.end - 1)),
                Some(Argument::TemplateLiteral(literal)) if literal.expressions.is_empty() => Some(literal.span),
                Some(Argument::StringLiteral(literal)) => Some(literal.span()),
                Some(_) => None,
            };
            self.found.push(MatcherCall { name: member.property.span.start as usize, literal });
        }
        walk::walk_call_expression(self, it);
    }
}
