//! One walk over a parsed file: what it imports, exports and requires, and where.

use std::collections::{BTreeMap, BTreeSet};

use oxc::ast::ast::*;
use oxc::ast_visit::{Visit, walk};
use oxc::semantic::Scoping;
use oxc::span::{GetSpan, Span};
use oxc::syntax::scope::ScopeFlags;

use crate::decorators;

mod commonjs;
mod pattern;

pub(crate) use pattern::Pattern;

/// What a file says about other files.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Static imports, re-exports and dynamic imports of literals, in source order.
    pub imports: Vec<Import>,
    /// Names that an ES module exports itself; stars are in `imports`.
    pub exports: BTreeMap<String, Export>,
    /// Dynamic imports of specifiers that are put together at run time.
    pub patterns: Vec<(Pattern, Span)>,
    /// Whether it has a dynamic import of which nothing is known.
    pub has_open_import: bool,
    pub has_module_syntax: bool,
    pub requires: Vec<Require>,
    /// Names that a CommonJS file sets on `module.exports`, as far as its text shows.
    pub commonjs_names: BTreeSet<String>,
    /// Specifiers whose exports a CommonJS file makes its own.
    pub commonjs_reexports: Vec<String>,
    /// Whether it uses `module`, `exports`, `require`, `__filename` or `__dirname` of CommonJS.
    pub uses_commonjs: bool,
    /// Places of `process.env.NODE_ENV`.
    pub node_env: Vec<Span>,
    pub has_jsx: bool,
    pub decorator: Option<Span>,
    /// The first decorator that can't be lowered.
    pub unsupported_decorator: Option<Span>,
    /// Whether it has `accessor` fields.
    pub has_accessor: bool,
    /// The first `using` declaration.
    pub using: Option<Span>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ImportKind {
    Static,
    Dynamic,
    /// `export * from`
    Star,
}

#[derive(Debug)]
pub(crate) struct Import {
    pub specifier: String,
    pub kind: ImportKind,
    /// Of the specifier, quotes included; empty if a transform wrote the import.
    pub span: Span,
    /// Names taken from the module, each with its place.
    pub names: Vec<(String, Span)>,
    /// Whether the namespace as a whole is taken.
    pub namespace: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Export {
    Local,
    /// `export { name as … } from "specifier"`
    From {
        specifier: String,
        name: String,
    },
}

#[derive(Debug)]
pub(crate) struct Require {
    pub specifier: String,
    pub span: Span,
    /// Whether it runs only under a condition, in a function or in a `try`.
    pub guarded: bool,
}

pub(crate) fn scan(program: &Program, scoping: &Scoping, production: bool) -> Scan {
    let mut visitor = Visitor { scoping, production, guards: 0, functions: 0, scan: Scan::default() };
    visitor.visit_program(program);
    visitor.scan
}

struct Visitor<'s> {
    scoping: &'s Scoping,
    /// Whether `process.env.NODE_ENV` is known to be "production", so that dead branches are.
    production: bool,
    /// Enclosing conditions, functions and `try` blocks.
    guards: u32,
    /// Enclosing functions with a `this` of their own.
    functions: u32,
    scan: Scan,
}

impl Visitor<'_> {
    fn is_global(&self, ident: &IdentifierReference) -> bool {
        match ident.reference_id.get() {
            Some(id) => self.scoping.get_reference(id).symbol_id().is_none(),
            None => true,
        }
    }

    fn guarded(&mut self, walk: impl FnOnce(&mut Self)) {
        self.guards += 1;
        walk(self);
        self.guards -= 1;
    }

    fn import(&mut self, source: &StringLiteral, kind: ImportKind) -> &mut Import {
        self.scan.imports.push(Import {
            specifier: source.value.to_string(),
            kind,
            span: source.span,
            names: Vec::new(),
            namespace: kind != ImportKind::Static,
        });
        self.scan.imports.last_mut().expect("an import was just pushed")
    }

    fn export(&mut self, name: &str, export: Export) {
        self.scan.exports.insert(name.to_string(), export);
    }

    fn export_declaration(&mut self, declaration: &Declaration) {
        let mut names = BoundNames::default();
        match declaration {
            Declaration::FunctionDeclaration(f) => names.0.extend(f.id.iter().map(|id| id.name.to_string())),
            Declaration::ClassDeclaration(c) => names.0.extend(c.id.iter().map(|id| id.name.to_string())),
            Declaration::VariableDeclaration(v) => {
                v.declarations.iter().for_each(|d| names.visit_binding_pattern(&d.id))
            }
            // TypeScript's own declarations are gone after the transform.
            _ => {}
        }
        for name in names.0 {
            self.export(&name, Export::Local);
        }
    }

    /// Whether a condition is decided by `process.env.NODE_ENV`.
    fn decided(&self, test: &Expression) -> Option<bool> {
        if !self.production {
            return None;
        }
        match test.get_inner_expression() {
            Expression::BinaryExpression(b) => {
                let (left, right) = (b.left.get_inner_expression(), b.right.get_inner_expression());
                let literal = match (left, right) {
                    (Expression::StringLiteral(l), e) | (e, Expression::StringLiteral(l)) if self.is_node_env(e) => l,
                    _ => return None,
                };
                let equal = literal.value == "production";
                match b.operator {
                    BinaryOperator::StrictEquality | BinaryOperator::Equality => Some(equal),
                    BinaryOperator::StrictInequality | BinaryOperator::Inequality => Some(!equal),
                    _ => None,
                }
            }
            Expression::UnaryExpression(u) if u.operator == UnaryOperator::LogicalNot => {
                self.decided(&u.argument).map(|b| !b)
            }
            Expression::LogicalExpression(l) => {
                let (left, right) = (self.decided(&l.left), self.decided(&l.right));
                match l.operator {
                    LogicalOperator::And if left == Some(false) || right == Some(false) => Some(false),
                    LogicalOperator::And => left.and(right),
                    LogicalOperator::Or if left == Some(true) || right == Some(true) => Some(true),
                    LogicalOperator::Or => left.and(right),
                    LogicalOperator::Coalesce => None,
                }
            }
            _ => None,
        }
    }

    fn is_node_env(&self, expression: &Expression) -> bool {
        let Expression::StaticMemberExpression(member) = expression else { return false };
        self.is_node_env_member(member)
    }

    fn is_node_env_member(&self, member: &StaticMemberExpression) -> bool {
        let Expression::StaticMemberExpression(env) = member.object.get_inner_expression() else { return false };
        let Expression::Identifier(process) = env.object.get_inner_expression() else { return false };
        member.property.name == "NODE_ENV"
            && env.property.name == "env"
            && process.name == "process"
            && self.is_global(process)
    }

    fn branches(&mut self, test: Option<bool>, then: impl FnOnce(&mut Self), otherwise: impl FnOnce(&mut Self)) {
        match test {
            Some(true) => then(self),
            Some(false) => otherwise(self),
            None => self.guarded(|v| {
                then(v);
                otherwise(v);
            }),
        }
    }
}

fn export_name(name: &ModuleExportName) -> String {
    name.name().to_string()
}

impl<'a> Visit<'a> for Visitor<'_> {
    fn visit_import_declaration(&mut self, it: &ImportDeclaration<'a>) {
        self.scan.has_module_syntax = true;
        if it.import_kind.is_type() {
            return;
        }
        let import = self.import(&it.source, ImportKind::Static);
        for specifier in it.specifiers.iter().flatten() {
            match specifier {
                ImportDeclarationSpecifier::ImportSpecifier(s) if s.import_kind.is_type() => {}
                ImportDeclarationSpecifier::ImportSpecifier(s) => {
                    import.names.push((export_name(&s.imported), s.imported.span()));
                }
                ImportDeclarationSpecifier::ImportDefaultSpecifier(s) => import.names.push(("default".into(), s.span)),
                ImportDeclarationSpecifier::ImportNamespaceSpecifier(_) => import.namespace = true,
            }
        }
    }

    fn visit_export_from_declaration(&mut self, it: &ExportFromDeclaration<'a>) {
        self.scan.has_module_syntax = true;
        if it.export_kind.is_type() {
            return;
        }
        let specifiers: Vec<_> = it.specifiers.iter().filter(|s| !s.export_kind.is_type()).collect();
        let import = self.import(&it.source, ImportKind::Static);
        import.names.extend(specifiers.iter().map(|s| (export_name(&s.local), s.local.span())));
        for s in specifiers {
            let from = Export::From { specifier: it.source.value.to_string(), name: export_name(&s.local) };
            self.export(&export_name(&s.exported), from);
        }
    }

    fn visit_export_all_declaration(&mut self, it: &ExportAllDeclaration<'a>) {
        self.scan.has_module_syntax = true;
        if it.export_kind.is_type() {
            return;
        }
        match &it.exported {
            Some(name) => {
                self.import(&it.source, ImportKind::Static).namespace = true;
                self.export(&export_name(name), Export::Local);
            }
            None => {
                self.import(&it.source, ImportKind::Star);
            }
        }
    }

    fn visit_export_named_declaration(&mut self, it: &ExportNamedDeclaration<'a>) {
        self.scan.has_module_syntax = true;
        for s in it.specifiers.iter().filter(|s| !s.export_kind.is_type()) {
            self.export(&export_name(&s.exported), Export::Local);
        }
    }

    fn visit_export_declaration(&mut self, it: &ExportDeclaration<'a>) {
        self.scan.has_module_syntax = true;
        self.export_declaration(&it.declaration);
        walk::walk_export_declaration(self, it);
    }

    fn visit_export_default_declaration(&mut self, it: &ExportDefaultDeclaration<'a>) {
        self.scan.has_module_syntax = true;
        self.export("default", Export::Local);
        walk::walk_export_default_declaration(self, it);
    }

    fn visit_import_expression(&mut self, it: &ImportExpression<'a>) {
        match &it.source {
            Expression::StringLiteral(source) => {
                self.import(source, ImportKind::Dynamic);
            }
            Expression::TemplateLiteral(t) if t.expressions.is_empty() && t.quasis.len() == 1 => {
                let value = t.quasis[0].value.cooked.as_ref().map(|c| c.to_string()).unwrap_or_default();
                let (kind, namespace, names) = (ImportKind::Dynamic, true, Vec::new());
                self.scan.imports.push(Import { specifier: value, kind, span: t.span, names, namespace });
            }
            source => match Pattern::of(source) {
                Some(pattern) => self.scan.patterns.push((pattern, it.span)),
                None => self.scan.has_open_import = true,
            },
        }
        walk::walk_import_expression(self, it);
    }

    fn visit_import_meta(&mut self, _: &ImportMeta) {
        self.scan.has_module_syntax = true;
    }

    fn visit_identifier_reference(&mut self, it: &IdentifierReference<'a>) {
        let names = ["module", "exports", "require", "__filename", "__dirname"];
        if !self.scan.uses_commonjs && names.contains(&it.name.as_str()) && self.is_global(it) {
            self.scan.uses_commonjs = true;
        }
    }

    fn visit_this_expression(&mut self, _: &ThisExpression) {
        // At the top of a CommonJS file `this` is `module.exports`; of an ES module, undefined.
        self.scan.uses_commonjs |= self.functions == 0;
    }

    fn visit_static_member_expression(&mut self, it: &StaticMemberExpression<'a>) {
        if self.is_node_env_member(it) {
            self.scan.node_env.push(it.span);
        }
        walk::walk_static_member_expression(self, it);
    }

    fn visit_call_expression(&mut self, it: &CallExpression<'a>) {
        self.commonjs_call(it);
        walk::walk_call_expression(self, it);
    }

    fn visit_assignment_expression(&mut self, it: &AssignmentExpression<'a>) {
        self.commonjs_assignment(it);
        // A target can't be replaced by a literal.
        let places = self.scan.node_env.len();
        self.visit_assignment_target(&it.left);
        self.scan.node_env.truncate(places);
        self.visit_expression(&it.right);
    }

    fn visit_if_statement(&mut self, it: &IfStatement<'a>) {
        self.visit_expression(&it.test);
        let then = |v: &mut Self| v.visit_statement(&it.consequent);
        let otherwise = |v: &mut Self| it.alternate.iter().for_each(|s| v.visit_statement(s));
        self.branches(self.decided(&it.test), then, otherwise);
    }

    fn visit_conditional_expression(&mut self, it: &ConditionalExpression<'a>) {
        self.visit_expression(&it.test);
        let (then, otherwise) = (&it.consequent, &it.alternate);
        self.branches(self.decided(&it.test), |v| v.visit_expression(then), |v| v.visit_expression(otherwise));
    }

    fn visit_logical_expression(&mut self, it: &LogicalExpression<'a>) {
        self.visit_expression(&it.left);
        self.guarded(|v| v.visit_expression(&it.right));
    }

    fn visit_try_statement(&mut self, it: &TryStatement<'a>) {
        self.guarded(|v| walk::walk_try_statement(v, it));
    }

    fn visit_function(&mut self, it: &Function<'a>, flags: ScopeFlags) {
        self.functions += 1;
        self.guarded(|v| walk::walk_function(v, it, flags));
        self.functions -= 1;
    }

    fn visit_arrow_function_expression(&mut self, it: &ArrowFunctionExpression<'a>) {
        self.guarded(|v| walk::walk_arrow_function_expression(v, it));
    }

    fn visit_class(&mut self, it: &Class<'a>) {
        self.functions += 1;
        walk::walk_class(self, it);
        self.functions -= 1;
    }

    fn visit_variable_declaration(&mut self, it: &VariableDeclaration<'a>) {
        if matches!(it.kind, VariableDeclarationKind::Using | VariableDeclarationKind::AwaitUsing) {
            self.scan.using.get_or_insert(it.span);
        }
        walk::walk_variable_declaration(self, it);
    }

    fn visit_decorator(&mut self, it: &Decorator<'a>) {
        self.scan.decorator.get_or_insert(it.span);
        walk::walk_decorator(self, it);
    }

    fn visit_method_definition(&mut self, it: &MethodDefinition<'a>) {
        let unsupported = decorators::unsupported(&it.key, &it.decorators);
        self.scan.unsupported_decorator = self.scan.unsupported_decorator.or(unsupported);
        walk::walk_method_definition(self, it);
    }

    fn visit_accessor_property(&mut self, it: &AccessorProperty<'a>) {
        self.scan.has_accessor = true;
        let unsupported = decorators::unsupported(&it.key, &it.decorators);
        self.scan.unsupported_decorator = self.scan.unsupported_decorator.or(unsupported);
        walk::walk_accessor_property(self, it);
    }

    fn visit_jsx_element(&mut self, it: &JSXElement<'a>) {
        self.scan.has_jsx = true;
        walk::walk_jsx_element(self, it);
    }

    fn visit_jsx_fragment(&mut self, it: &JSXFragment<'a>) {
        self.scan.has_jsx = true;
        walk::walk_jsx_fragment(self, it);
    }
}

/// Names that a pattern binds.
#[derive(Default)]
struct BoundNames(Vec<String>);

impl<'a> Visit<'a> for BoundNames {
    fn visit_binding_identifier(&mut self, it: &BindingIdentifier<'a>) {
        self.0.push(it.name.to_string());
    }
    // Defaults inside a pattern bind nothing.
    fn visit_expression(&mut self, _: &Expression<'a>) {}
}
