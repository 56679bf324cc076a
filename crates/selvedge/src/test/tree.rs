//! What a file of tests declares, and what of it runs: a pure function of the tree and the filter.

use serde::Deserialize;

/// As the guest tells it.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Node {
    Suite(SuiteNode),
    Test(TestNode),
}

#[derive(Debug, Clone, Deserialize)]
pub struct SuiteNode {
    pub id: u32,
    pub name: String,
    pub mode: Mode,
    /// Where it was declared, in terms of what runs.
    pub site: Option<String>,
    /// The longest limit that one of its `beforeAll` hooks asks for, in ms, 0 for none; `None` if
    /// there are no such hooks.
    pub before: Option<u64>,
    pub after: Option<u64>,
    pub children: Vec<Node>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct TestNode {
    pub id: u32,
    pub name: String,
    pub mode: Mode,
    pub site: Option<String>,
    /// It is to fail.
    pub fails: bool,
    /// Its own limit, in ms.
    pub timeout: Option<u64>,
    /// The longest limit that a hook around it asks for.
    pub hooks: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Run,
    Only,
    Skip,
    Todo,
}

/// One thing to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The suite at this index of [`Course::suites`] begins.
    Enter(usize),
    /// The test at this index of [`Course::tests`].
    Test(usize),
    Leave(usize),
}

/// What will happen with a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Runs,
    Skipped,
    Todo,
}

/// A file's tests in the order in which they run.
#[derive(Debug, Default)]
pub struct Course {
    pub suites: Vec<SuiteNode>,
    pub tests: Vec<Planned>,
    pub steps: Vec<Step>,
}

#[derive(Debug)]
pub struct Planned {
    pub node: TestNode,
    /// Names of the suites around it, outermost first.
    pub path: Vec<String>,
    pub fate: Fate,
}

impl Course {
    /// Chooses what runs: `only` within the file, then the filter on full names.
    pub fn of(root: &SuiteNode, name: Option<&str>) -> Self {
        let mut course = Self::default();
        let only = has_only(root);
        course.suite(root, &Around { path: &[], runs_all: !only, skips: None, name });
        course
    }

    fn suite(&mut self, suite: &SuiteNode, around: &Around) {
        let mut path = around.path.to_vec();
        if !suite.name.is_empty() {
            path.push(suite.name.clone());
        }
        let inside = Around {
            path: &path,
            // An `only` further in is meant more narrowly.
            runs_all: around.runs_all || (suite.mode == Mode::Only && !suite.children.iter().any(node_has_only)),
            skips: around.skips.or(match suite.mode {
                Mode::Skip => Some(Fate::Skipped),
                Mode::Todo => Some(Fate::Todo),
                Mode::Run | Mode::Only => None,
            }),
            name: around.name,
        };
        let index = self.suites.len();
        self.suites.push(SuiteNode { children: Vec::new(), ..suite.clone() });
        let begun = self.steps.len();
        self.steps.push(Step::Enter(index));
        for child in &suite.children {
            match child {
                Node::Suite(suite) => self.suite(suite, &inside),
                Node::Test(test) => self.test(test, &inside),
            }
        }
        if suite.mode == Mode::Todo && suite.children.is_empty() && !suite.name.is_empty() {
            self.todo_suite(suite, around);
        }
        let runs = |step: &Step| matches!(step, Step::Test(test) if self.tests[*test].fate == Fate::Runs);
        if self.steps[begun..].iter().any(runs) {
            self.steps.push(Step::Leave(index));
        } else {
            // Its hooks have nothing to be for.
            self.steps.remove(begun);
        }
    }

    /// A suite without a body stands in the report like a test.
    fn todo_suite(&mut self, suite: &SuiteNode, around: &Around) {
        let node = TestNode {
            id: suite.id,
            name: suite.name.clone(),
            mode: Mode::Todo,
            site: suite.site.clone(),
            fails: false,
            timeout: None,
            hooks: 0,
        };
        self.steps.push(Step::Test(self.tests.len()));
        self.tests.push(Planned { node, path: around.path.to_vec(), fate: Fate::Todo });
    }

    fn test(&mut self, test: &TestNode, around: &Around) {
        let planned = Planned { node: test.clone(), path: around.path.to_vec(), fate: Fate::Runs };
        let is_meant = around.runs_all || test.mode == Mode::Only;
        let named = around.name.is_none_or(|name| planned.full_name().contains(name));
        let fate = match (around.skips, test.mode) {
            (Some(fate), _) => fate,
            (None, Mode::Todo) => Fate::Todo,
            (None, Mode::Skip) => Fate::Skipped,
            (None, _) if is_meant && named => Fate::Runs,
            (None, _) => Fate::Skipped,
        };
        self.steps.push(Step::Test(self.tests.len()));
        self.tests.push(Planned { fate, ..planned });
    }
}

struct Around<'a> {
    path: &'a [String],
    runs_all: bool,
    skips: Option<Fate>,
    name: Option<&'a str>,
}

impl Planned {
    /// The names of the suites and its own, with spaces between: what `-t` looks into.
    pub fn full_name(&self) -> String {
        let mut name = self.path.join(" ");
        if !name.is_empty() {
            name.push(' ');
        }
        name + &self.node.name
    }
}

fn has_only(suite: &SuiteNode) -> bool {
    suite.children.iter().any(node_has_only)
}

fn node_has_only(node: &Node) -> bool {
    match node {
        Node::Suite(suite) => suite.mode == Mode::Only || has_only(suite),
        Node::Test(test) => test.mode == Mode::Only,
    }
}

#[cfg(test)]
mod tests;
