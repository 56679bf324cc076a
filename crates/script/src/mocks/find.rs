//! Finding the calls of `vi` that are about modules.

use std::collections::BTreeSet;

use base::builtin;
use oxc::ast::ast::*;
use oxc::ast_visit::{Visit, walk};
use oxc::span::{GetSpan, Span};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Mock,
    Unmock,
    Hoisted,
    DoMock,
    DoUnmock,
    ImportActual,
}

impl Method {
    pub(super) const ALL: [Self; 6] =
        [Self::Mock, Self::Unmock, Self::Hoisted, Self::DoMock, Self::DoUnmock, Self::ImportActual];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mock => "mock",
            Self::Unmock => "unmock",
            Self::Hoisted => "hoisted",
            Self::DoMock => "doMock",
            Self::DoUnmock => "doUnmock",
            Self::ImportActual => "importActual",
        }
    }

    /// Whether it runs before the file's imports.
    pub(super) fn is_hoisted(self) -> bool {
        matches!(self, Self::Mock | Self::Unmock | Self::Hoisted)
    }
}

#[derive(Debug)]
pub(super) struct Call {
    pub method: Method,
    /// Of the whole call.
    pub span: Span,
    /// Of the method's name.
    pub name_span: Span,
    pub specifier: Option<String>,
    /// Of the first argument.
    pub specifier_span: Span,
    /// Whether a statement at the top of the file is this call, or declares what it returns.
    pub at_top: bool,
}

pub(super) fn calls(program: &Program) -> Vec<Call> {
    let names = names_of_vi(program);
    let mut visitor = Visitor { names, calls: Vec::new() };
    visitor.visit_program(program);
    let tops: Vec<Span> = program.body.iter().filter_map(call_of_statement).collect();
    for call in &mut visitor.calls {
        call.at_top = tops.contains(&call.span);
    }
    visitor.calls
}

/// Names of imports that the file exports again.
pub(super) fn passed_on(program: &Program) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for statement in &program.body {
        if let Statement::ExportNamedDeclaration(export) = statement {
            names.extend(export.specifiers.iter().map(|specifier| specifier.local.name().to_string()));
        }
    }
    names
}

/// What `vi` is called here: by its imports, or as a global.
fn names_of_vi(program: &Program) -> BTreeSet<String> {
    let own = ["vi", "vitest"];
    let mut names: BTreeSet<String> = own.map(String::from).into();
    for statement in &program.body {
        let Statement::ImportDeclaration(import) = statement else { continue };
        let specifier = import.source.value.as_str();
        let is_ours = builtin::TEST_MODULES.contains(&specifier)
            || builtin::TEST_ALIASES.iter().any(|(alias, _)| *alias == specifier);
        for bound in import.specifiers.iter().flatten() {
            let local = bound.local().name.to_string();
            match bound {
                ImportDeclarationSpecifier::ImportSpecifier(it)
                    if is_ours && own.contains(&it.imported.name().as_str()) =>
                {
                    names.insert(local);
                }
                _ => drop(names.remove(&local)),
            }
        }
    }
    names
}

/// The call that a statement is made of: `f();`, `await f();`, `const x = f();`, `const x = await f();`
fn call_of_statement(statement: &Statement) -> Option<Span> {
    let expression = match statement {
        Statement::ExpressionStatement(it) => &it.expression,
        Statement::VariableDeclaration(it) if it.declarations.len() == 1 => it.declarations[0].init.as_ref()?,
        _ => return None,
    };
    let expression = match expression.get_inner_expression() {
        Expression::AwaitExpression(it) => it.argument.get_inner_expression(),
        other => other,
    };
    match expression {
        Expression::CallExpression(call) => Some(call.span),
        _ => None,
    }
}

struct Visitor {
    names: BTreeSet<String>,
    calls: Vec<Call>,
}

impl<'a> Visit<'a> for Visitor {
    fn visit_call_expression(&mut self, it: &CallExpression<'a>) {
        if let Expression::StaticMemberExpression(member) = &it.callee
            && let Expression::Identifier(object) = member.object.get_inner_expression()
            && self.names.contains(object.name.as_str())
            && let Some(method) = Method::ALL.into_iter().find(|method| member.property.name == method.name())
        {
            let first = it.arguments.first().and_then(Argument::as_expression);
            self.calls.push(Call {
                method,
                span: it.span,
                name_span: member.property.span,
                specifier: first.and_then(specifier_of),
                specifier_span: first.map_or(it.span, GetSpan::span),
                at_top: false,
            });
        }
        walk::walk_call_expression(self, it);
    }
}

/// `"./x"`, or `import("./x")`, which editors check.
fn specifier_of(expression: &Expression) -> Option<String> {
    match expression.get_inner_expression() {
        Expression::StringLiteral(literal) => Some(literal.value.to_string()),
        Expression::TemplateLiteral(it) if it.expressions.is_empty() && it.quasis.len() == 1 => {
            it.quasis[0].value.cooked.as_ref().map(|text| text.to_string())
        }
        Expression::ImportExpression(it) => specifier_of(&it.source),
        _ => None,
    }
}
