//! One class.

use super::*;

/// Whether a class has anything to lower.
pub(super) fn is_wanted(class: &Class) -> bool {
    !class.decorators.is_empty() || class.body.body.iter().any(|element| member(element).is_some())
}

/// A member with decorators, or an `accessor`.
struct Member<'b, 'a> {
    kind: &'static str,
    span: Span,
    decorators: &'b [Decorator<'a>],
    key: &'b PropertyKey<'a>,
    computed: bool,
    is_static: bool,
    value: Option<&'b Expression<'a>>,
}

fn member<'b, 'a>(element: &'b ClassElement<'a>) -> Option<Member<'b, 'a>> {
    match element {
        ClassElement::MethodDefinition(it) if !it.decorators.is_empty() => {
            let kind = match it.kind {
                MethodDefinitionKind::Get => "getter",
                MethodDefinitionKind::Set => "setter",
                MethodDefinitionKind::Method | MethodDefinitionKind::Constructor => "method",
            };
            let (decorators, value) = (it.decorators.as_slice(), None);
            Some(Member {
                kind,
                span: it.span,
                decorators,
                key: &it.key,
                computed: it.computed,
                is_static: it.r#static,
                value,
            })
        }
        ClassElement::PropertyDefinition(it) if !it.decorators.is_empty() => {
            let (decorators, value) = (it.decorators.as_slice(), it.value.as_ref());
            Some(Member {
                kind: "field",
                span: it.span,
                decorators,
                key: &it.key,
                computed: it.computed,
                is_static: it.r#static,
                value,
            })
        }
        ClassElement::AccessorProperty(it) => {
            let (decorators, value) = (it.decorators.as_slice(), it.value.as_ref());
            Some(Member {
                kind: "accessor",
                span: it.span,
                decorators,
                key: &it.key,
                computed: it.computed,
                is_static: it.r#static,
                value,
            })
        }
        _ => None,
    }
}

/// What the parts of one class are called: its number keeps nested ones apart.
struct Names {
    /// `$sv3`
    base: String,
    /// Lists that the function around the class declares.
    lists: Vec<String>,
    /// Statements of the first static block: lists of decorators, then what applies them, by rank.
    collected: String,
    applied: [String; 4],
    /// What comes once the class is what it will be: lists of initializers for it.
    late: Vec<String>,
}

impl Names {
    /// What stands around the members: the function, and the first and the last element of the class.
    fn around(self, decorators: &str, heritage: &str, name: &str, given: Option<&str>) -> (String, String) {
        let Self { base, lists, collected, applied, late } = self;
        let lists: String = lists.iter().map(|list| format!(", {list} = []")).collect();
        let called = quote(given.unwrap_or(name));
        let start = format!(
            "(() => {{ let {base}m, {base}t, {base}f, {base}d = [{decorators}], {base}x = [], {base}c = []{lists}; "
        );
        let applied = applied.concat();
        let first = format!("static {{ {base}t = this; {base}m = {HELPER}.begin(this, {called}); {collected}{applied}");
        let whole = if decorators.is_empty() { "t" } else { "f" };
        let late: String = late.iter().map(|list| format!("{HELPER}.run({base}{whole}, {list}); ")).collect();
        let ran = format!("{late}}} #{base}x = {HELPER}.run(this, {base}x); ");
        if decorators.is_empty() {
            let own = if given.is_none() { format!(" {name}") } else { String::new() };
            let open = format!("{start}return class{own}{heritage} {{ {first}{HELPER}.end(this, {base}m); {ran}");
            return (open, "}; })()".into());
        }
        // Inside, the name means what the decorators make of the class.
        let replaced = format!("{name} = {base}f = {HELPER}.replace(this, {base}d, {called}, {base}m, {base}c); ");
        let open = format!("{start}let {name}; {name} = class{heritage} {{ {first}{replaced}{ran}");
        (open, format!(" static {{ {HELPER}.run({base}f, {base}c); }} }}; return {name} = {base}f; }})()"))
    }
}

impl Visitor<'_> {
    /// Writes what becomes of a class that begins, with what introduces it, at `start`. `given` is the
    /// name of one that has none of its own.
    pub(super) fn class(&mut self, start: u32, class: &Class, name: &str, given: Option<&str>) {
        let base = format!("$sv{}", self.classes);
        self.classes += 1;
        let mut names =
            Names { base, lists: Vec::new(), collected: String::new(), applied: Default::default(), late: Vec::new() };
        for (index, element) in class.body.body.iter().enumerate() {
            if let Some(member) = member(element) {
                self.member(&member, index, &mut names);
            }
        }
        let heritage = match &class.heritage {
            Some(heritage) => format!(" extends {}", self.slice(heritage.expression.span())),
            None => String::new(),
        };
        let decorators = self.list(&class.decorators);
        let (open, close) = names.around(&decorators, &heritage, name, given);
        let from = class.decorators.first().map_or(start, |decorator| decorator.span.start.min(start));
        let body = class.body.span;
        self.edits.replace(from as usize, body.start as usize + 1, open);
        self.edits.replace(body.end as usize - 1, body.end as usize, close);
    }

    fn list(&self, decorators: &[Decorator]) -> String {
        let list: Vec<String> = decorators.iter().map(|d| format!("({})", self.slice(d.expression.span()))).collect();
        list.join(", ")
    }

    fn member(&mut self, member: &Member, index: usize, names: &mut Names) {
        let base = format!("{}_{index}", names.base);
        let key = self.key(member, &base, names);
        if member.decorators.is_empty() {
            self.storage(member, (&names.base, &base), &key, None);
            return;
        }
        names.collected += &format!("const {base}d = [{}]; ", self.list(member.decorators));
        let is_field = matches!(member.kind, "field" | "accessor");
        let (inits, extra) = match is_field {
            true => {
                names.lists.extend([format!("{base}i"), format!("{base}e")]);
                (format!("{base}i"), format!("{base}e"))
            }
            false => ("null".to_string(), format!("{}x", names.base)),
        };
        let extra_of = if member.is_static && !is_field { format!("{base}s") } else { extra };
        if member.is_static && !is_field {
            names.lists.push(extra_of.clone());
        }
        let metadata = format!("{}m", names.base);
        let rank = match (member.kind, member.is_static) {
            ("field", true) => 2,
            ("field", false) => 3,
            (_, true) => 0,
            (_, false) => 1,
        };
        names.applied[rank] += &format!(
            "{HELPER}.member(this, \"{}\", {}, {}, {}, {base}d, {metadata}, {inits}, {extra_of}); ",
            member.kind, member.is_static, key.name, key.access
        );
        if member.is_static && !is_field {
            names.late.push(extra_of.clone());
        }
        // The decorators, and whatever parts them from the member.
        let from = member.decorators[0].span.start.min(member.span.start) as usize;
        let to = member.decorators[member.decorators.len() - 1].span.end as usize;
        if member.kind == "accessor" {
            self.storage(member, (&names.base, &base), &key, Some(&extra_of));
            return;
        }
        self.edits.replace(from, to, "");
        if member.kind == "field" {
            self.field(member, &inits, &extra_of);
        }
    }

    fn field(&mut self, member: &Member, inits: &str, extra: &str) {
        match member.value {
            Some(value) => {
                let span = value.span();
                self.edits.insert(span.start as usize, format!("{HELPER}.init(this, {inits}, "));
                self.edits.insert(span.end as usize, ")");
            }
            None => {
                let after =
                    if member.computed { self.after_bracket(member.key.span().end) } else { member.key.span().end };
                self.edits.insert(after as usize, format!(" = {HELPER}.init(this, {inits}, undefined)"));
            }
        }
        self.edits.insert(member.span.end as usize, format!("; {}", ran(member.is_static, extra)));
    }

    /// An `accessor` as a private field with a getter and a setter.
    fn storage(&mut self, member: &Member, (class, base): (&str, &str), key: &Key, extra: Option<&str>) {
        // A static one is the class's own, by whatever class it is reached.
        let (word, owner) = if member.is_static { ("static ", format!("{class}t")) } else { ("", "this".into()) };
        let (from, end) = (member.span.start, member.span.end);
        let from = member.decorators.first().map_or(from, |decorator| decorator.span.start.min(from)) as usize;
        let (open, close) = match extra {
            Some(_) => (format!("{HELPER}.init(this, {base}i, "), ")"),
            None => (String::new(), ""),
        };
        let first = if member.computed { format!("[{}]", key.first) } else { key.first.clone() };
        let again = if member.computed { format!("[{}]", key.name) } else { key.first.clone() };
        let rest = format!(
            "{close}; {}{word}get {first}() {{ return {owner}.#{base}; }} {word}set {again}(value) {{ {owner}.#{base} = value; }}",
            extra.map_or(String::new(), |extra| ran(member.is_static, extra)),
        );
        match member.value {
            Some(value) => {
                let span = value.span();
                self.edits.replace(from, span.start as usize, format!("{word}#{base} = {open}"));
                self.edits.replace(span.end as usize, end as usize, rest);
            }
            None => self.edits.replace(from, end as usize, format!("{word}#{base} = {open}undefined{rest}")),
        }
    }

    fn key(&mut self, member: &Member, base: &str, names: &mut Names) -> Key {
        let text = self.slice(member.key.span()).to_string();
        if let PropertyKey::PrivateIdentifier(_) = member.key {
            let access = format!(
                "{{ has: (o) => {text} in o, get: (o) => o.{text}, set: (o, value) => {{ o.{text} = value; }} }}"
            );
            return Key { name: quote(&text), first: text, access };
        }
        if !member.computed {
            let name = member.key.static_name().map_or_else(|| text.clone(), |name| name.to_string());
            return Key { name: quote(&name), first: text, access: "undefined".into() };
        }
        let kept = format!("{base}k");
        names.lists.push(kept.clone());
        let first = format!("{kept} = {HELPER}.key({text})");
        if member.kind != "accessor" {
            let span = member.key.span();
            self.edits.insert(span.start as usize, format!("{kept} = {HELPER}.key("));
            self.edits.insert(span.end as usize, ")");
        }
        Key { name: kept, first, access: "undefined".into() }
    }

    /// Behind the bracket that closes a computed key.
    fn after_bracket(&self, from: u32) -> u32 {
        let rest = &self.text[from as usize..];
        from + rest.find(']').map_or(0, |at| at as u32 + 1)
    }
}

struct Key {
    /// An expression for the key, once the class is being defined.
    name: String,
    /// How it is written the first time.
    first: String,
    /// How a private member is reached.
    access: String,
}

/// An element that runs what was registered for the field before it.
fn ran(is_static: bool, extra: &str) -> String {
    match is_static {
        true => format!("static {{ {HELPER}.run(this, {extra}); }} "),
        false => format!("#{extra} = {HELPER}.run(this, {extra}); "),
    }
}

fn quote(text: &str) -> String {
    serde_json::to_string(text).expect("a string is always JSON")
}
