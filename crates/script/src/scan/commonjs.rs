//! What the text of a CommonJS file shows about its exports. Over-reporting a name is harmless (it
//! reads as undefined); a name that is missed is still found when an import asks for it.

use oxc::ast::ast::*;

use super::{Require, Visitor};

impl Visitor<'_> {
    /// `require("x")`, `Object.defineProperty(exports, "x", …)`, `__exportStar(require("x"), exports)`.
    pub(super) fn commonjs_call(&mut self, call: &CallExpression) {
        if let Some(literal) = self.required(call) {
            let (specifier, span) = (literal.value.to_string(), literal.span);
            self.scan.requires.push(Require { specifier, span, guarded: self.guards > 0 });
            return;
        }
        let name = match &call.callee {
            Expression::Identifier(ident) => ident.name.as_str(),
            Expression::StaticMemberExpression(member) => member.property.name.as_str(),
            _ => return,
        };
        let [first, second, ..] = call.arguments.as_slice() else { return };
        let (Some(first), Some(second)) = (first.as_expression(), second.as_expression()) else { return };
        match name {
            "defineProperty" if is_exports(first) => {
                if let Expression::StringLiteral(key) = second {
                    self.commonjs_name(&key.value);
                }
            }
            "__exportStar" | "__reExport" if is_exports(second) => self.commonjs_reexport(first),
            "__exportStar" | "__reExport" if is_exports(first) => self.commonjs_reexport(second),
            _ => {}
        }
    }

    /// `exports.x = …`, `module.exports.x = …`, `module.exports = …`.
    pub(super) fn commonjs_assignment(&mut self, assignment: &AssignmentExpression) {
        match &assignment.left {
            AssignmentTarget::StaticMemberExpression(member) => {
                if is_module_exports(&member.object, &member.property.name) {
                    self.commonjs_value(&assignment.right);
                } else if is_exports(&member.object) {
                    self.commonjs_name(&member.property.name);
                }
            }
            AssignmentTarget::ComputedMemberExpression(member) if is_exports(&member.object) => {
                if let Expression::StringLiteral(key) = &member.expression {
                    self.commonjs_name(&key.value);
                }
            }
            _ => {}
        }
    }

    /// What is assigned to `module.exports`.
    fn commonjs_value(&mut self, value: &Expression) {
        match value.get_inner_expression() {
            Expression::ObjectExpression(object) => {
                for property in &object.properties {
                    match property {
                        ObjectPropertyKind::ObjectProperty(p) if !p.computed => {
                            if let Some(name) = p.key.static_name() {
                                self.commonjs_name(&name);
                            }
                        }
                        ObjectPropertyKind::SpreadProperty(s) => self.commonjs_reexport(&s.argument),
                        _ => {}
                    }
                }
            }
            Expression::AssignmentExpression(inner) => self.commonjs_value(&inner.right),
            other => self.commonjs_reexport(other),
        }
    }

    fn commonjs_name(&mut self, name: &str) {
        if name != "default" && name != "__esModule" {
            self.scan.commonjs_names.insert(name.to_string());
        }
    }

    fn commonjs_reexport(&mut self, expression: &Expression) {
        let mut expression = expression.get_inner_expression();
        // `__toESM(require("x"))` and its like.
        while let Expression::CallExpression(call) = expression {
            if let Some(literal) = self.required(call) {
                self.scan.commonjs_reexports.push(literal.value.to_string());
                return;
            }
            let Some(first) = call.arguments.first().and_then(|a| a.as_expression()) else { return };
            expression = first.get_inner_expression();
        }
    }

    fn required<'b, 'a>(&self, call: &'b CallExpression<'a>) -> Option<&'b StringLiteral<'a>> {
        let Expression::Identifier(callee) = &call.callee else { return None };
        let [Argument::StringLiteral(literal)] = call.arguments.as_slice() else { return None };
        (callee.name == "require" && self.is_global(callee)).then_some(literal)
    }
}

/// `exports` or `module.exports`, by name: a UMD wrapper passes it as a parameter.
fn is_exports(expression: &Expression) -> bool {
    match expression.get_inner_expression() {
        Expression::Identifier(ident) => ident.name == "exports",
        Expression::StaticMemberExpression(member) => is_module_exports(&member.object, &member.property.name),
        _ => false,
    }
}

fn is_module_exports(object: &Expression, property: &str) -> bool {
    property == "exports" && matches!(object.get_inner_expression(), Expression::Identifier(i) if i.name == "module")
}
