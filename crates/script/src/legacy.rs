//! The order of TypeScript's own decorators: members of instances come before those of the class
//! itself, whatever their order in the text, which is the order that the transformer keeps.

use oxc::allocator::Vec;
use oxc::ast::ast::*;
use oxc::ast_visit::{VisitMut, walk_mut};

/// What the transformer's call of a decorator is called, before a number.
const DECORATE: &str = "_decorate";

pub(crate) fn order(program: &mut Program) {
    Order.visit_program(program);
}

struct Order;

impl<'a> VisitMut<'a> for Order {
    fn visit_statements(&mut self, statements: &mut Vec<'a, Statement<'a>>) {
        walk_mut::walk_statements(self, statements);
        let mut from = 0;
        while from < statements.len() {
            let count = statements[from..].iter().take_while(|s| decorated(s).is_some()).count();
            let run = &mut statements[from..from + count];
            for members in run.chunk_by_mut(|a, b| decorated(a).map(|d| d.0) == decorated(b).map(|d| d.0)) {
                // A stable sort.
                members.sort_by_key(|s| decorated(s).is_some_and(|(_, is_static)| is_static));
            }
            from += count.max(1);
        }
    }
}

/// The class of which a statement decorates a member, and whether the member is static.
fn decorated<'s>(statement: &'s Statement) -> Option<(&'s str, bool)> {
    let Statement::ExpressionStatement(statement) = statement else { return None };
    let Expression::CallExpression(call) = &statement.expression else { return None };
    let Expression::Identifier(callee) = &call.callee else { return None };
    let [_, target, _, ..] = call.arguments.as_slice() else { return None };
    if !callee.name.starts_with(DECORATE) {
        return None;
    }
    match target.as_expression()? {
        Expression::Identifier(class) => Some((class.name.as_str(), true)),
        Expression::StaticMemberExpression(member) if member.property.name == "prototype" => match &member.object {
            Expression::Identifier(class) => Some((class.name.as_str(), false)),
            _ => None,
        },
        _ => None,
    }
}
