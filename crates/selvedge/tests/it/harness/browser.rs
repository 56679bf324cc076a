//! A real browser: Chromium without a window, driven over its DevTools protocol.
//!
//! The protocol goes through two pipes (descriptors 3 and 4 of the browser, messages that end in a
//! zero byte), so that nothing listens on a port. Input is that of a person: a click is a press of
//! the mouse at a place on the page, and text goes to what has the focus.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::PATIENCE;

pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    /// Events that came while something else was awaited.
    events: VecDeque<Value>,
    sent: u64,
    session: Option<String>,
    /// Of the browser's profile; it goes with the browser.
    _profile: TempDir,
}

impl Browser {
    /// Opens an empty page. `None`, said aloud, if the machine has no Chromium; that is a failure
    /// where everything is required.
    pub fn open() -> Option<Self> {
        Self::open_with(&[])
    }

    /// The same, with switches of its own.
    pub fn open_with(switches: &[String]) -> Option<Self> {
        let Some(program) = program() else {
            let message = "missing requirement: chromium; install it with: apt-get install chromium";
            assert!(std::env::var_os("SELVEDGE_REQUIRE_ALL").is_none(), "{message}");
            eprintln!("{message}");
            return None;
        };
        let profile = TempDir::new().expect("a temporary directory");
        let mut command = Command::new("sh");
        command
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1"])
            .arg(program)
            .args([
                "--headless",
                "--remote-debugging-pipe",
                "--no-first-run",
                "--disable-gpu",
                "--disable-dev-shm-usage",
            ])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(switches)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        // Its sandbox needs a user; what it opens here are our own pages.
        if rustix::process::geteuid().is_root() {
            command.arg("--no-sandbox");
        }
        let mut child = command.spawn().expect("a shell");
        let to = child.stdin.take().expect("a pipe");
        let pipe = BufReader::new(child.stdout.take().expect("a pipe"));
        let (messages, from) = channel();
        std::thread::spawn(move || {
            for message in pipe.split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message).expect("the browser writes JSON");
                if messages.send(message).is_err() {
                    break;
                }
            }
        });
        let mut browser = Self { child, to, from, events: VecDeque::new(), sent: 0, session: None, _profile: profile };
        let target = browser.ask("Target.createTarget", json!({ "url": "about:blank" }));
        let session = browser.ask("Target.attachToTarget", json!({ "targetId": target["targetId"], "flatten": true }));
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        browser.ask("Page.enable", json!({}));
        Some(browser)
    }

    /// From here on pages run no script of their own.
    pub fn without_scripts(&mut self) {
        self.ask("Emulation.setScriptExecutionDisabled", json!({ "value": true }));
    }

    pub fn go(&mut self, url: &str) {
        self.events.clear();
        let navigated = self.ask("Page.navigate", json!({ "url": url }));
        assert!(navigated["errorText"].is_null(), "{url}: {navigated}");
        self.wait_for("Page.loadEventFired");
    }

    /// Types into the field that the selector finds.
    pub fn type_into(&mut self, selector: &str, text: &str) {
        let node = self.find(selector);
        self.ask("DOM.focus", json!({ "nodeId": node }));
        self.ask("Input.insertText", json!({ "text": text }));
    }

    /// Clicks what the selector finds, and waits for the page that this leads to.
    pub fn follow(&mut self, selector: &str) {
        let node = self.find(selector);
        self.ask("DOM.scrollIntoViewIfNeeded", json!({ "nodeId": node }));
        let shape = self.ask("DOM.getBoxModel", json!({ "nodeId": node }));
        let corner = |at: usize| shape["model"]["content"][at].as_f64().expect("a corner");
        let (x, y) = ((corner(0) + corner(4)) / 2.0, (corner(1) + corner(5)) / 2.0);
        self.events.clear();
        for kind in ["mousePressed", "mouseReleased"] {
            let press = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
            self.ask("Input.dispatchMouseEvent", press);
        }
        self.wait_for("Page.loadEventFired");
    }

    /// What a person reads on the page, or in the part of it that the selector finds.
    pub fn text(&mut self, selector: &str) -> String {
        let read = format!("document.querySelector({}).innerText", json!(selector));
        self.evaluate(&read).as_str().unwrap_or_else(|| panic!("there is no {selector}")).to_owned()
    }

    /// The address that it shows.
    pub fn address(&mut self) -> String {
        self.evaluate("location.href").as_str().expect("an address").to_owned()
    }

    fn evaluate(&mut self, expression: &str) -> Value {
        let evaluated = self.ask("Runtime.evaluate", json!({ "expression": expression, "returnByValue": true }));
        evaluated["result"]["value"].clone()
    }

    fn find(&mut self, selector: &str) -> Value {
        let document = self.ask("DOM.getDocument", json!({}));
        let root = &document["root"]["nodeId"];
        let found = self.ask("DOM.querySelector", json!({ "nodeId": root, "selector": selector }));
        assert!(found["nodeId"].as_u64().is_some_and(|node| node > 0), "there is no {selector}");
        found["nodeId"].clone()
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.sent += 1;
        let mut message = json!({ "id": self.sent, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to.write_all(&bytes).expect("the browser reads");
        loop {
            let mut answer = self.next(method);
            if answer["id"] != self.sent {
                self.events.push_back(answer);
                continue;
            }
            assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
            return answer["result"].take();
        }
    }

    fn wait_for(&mut self, event: &str) {
        if self.events.drain(..).any(|message| message["method"] == event) {
            return;
        }
        while self.next(event)["method"] != event {}
    }

    fn next(&self, awaited: &str) -> Value {
        self.from.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{awaited}: the browser is silent: {error}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name))).find(|file| file.is_file())
}
