//! Specifiers that are put together at run time, as far as their text is known: `./langs/${name}.ts`.

use oxc::ast::ast::*;

/// The known pieces of a specifier, with a hole between each two.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Pattern(pub Vec<String>);

impl Pattern {
    /// The pattern of a template or of a sum, if it begins with a relative path.
    pub(super) fn of(expression: &Expression) -> Option<Self> {
        let mut pieces = vec![String::new()];
        collect(expression, &mut pieces);
        let pattern = Self(pieces);
        let is_relative = pattern.0[0].starts_with("./") || pattern.0[0].starts_with("../");
        (is_relative && pattern.0.len() > 1).then_some(pattern)
    }

    /// Whether a part of a path, between two slashes, is what `part` says, `*` being a hole.
    pub(crate) fn part_matches(part: &str, name: &str) -> bool {
        let Some((head, rest)) = part.split_once('*') else { return part == name };
        let Some(mut name) = name.strip_prefix(head) else { return false };
        let mut pieces: Vec<&str> = rest.split('*').collect();
        let tail = pieces.pop().unwrap_or_default();
        for piece in pieces {
            match name.find(piece) {
                Some(at) => name = &name[at + piece.len()..],
                None => return false,
            }
        }
        name.ends_with(tail)
    }

    /// With `*` for the holes, as a person would write it.
    pub(crate) fn text(&self) -> String {
        self.0.join("*")
    }
}

fn collect(expression: &Expression, pieces: &mut Vec<String>) {
    let known = |pieces: &mut Vec<String>, text: &str| match pieces.last_mut() {
        Some(last) => last.push_str(text),
        None => pieces.push(text.to_string()),
    };
    match expression.get_inner_expression() {
        Expression::StringLiteral(literal) => known(pieces, &literal.value),
        Expression::TemplateLiteral(template) => {
            for (index, quasi) in template.quasis.iter().enumerate() {
                if let Some(hole) = index.checked_sub(1).and_then(|i| template.expressions.get(i)) {
                    collect(hole, pieces);
                }
                known(pieces, quasi.value.cooked.as_ref().map_or("", |cooked| cooked.as_str()));
            }
        }
        Expression::BinaryExpression(sum) if sum.operator == BinaryOperator::Addition => {
            collect(&sum.left, pieces);
            collect(&sum.right, pieces);
        }
        _ => pieces.push(String::new()),
    }
}
