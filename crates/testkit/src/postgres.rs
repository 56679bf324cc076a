//! A real PostgreSQL on loopback, with a cluster of its own in a temporary directory, which ends with
//! the test. The server refuses to run as root, so it runs as the user that its package made.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use tempfile::TempDir;

/// The role that may do everything, and its password.
pub const USER: &str = "app";
pub const PASSWORD: &str = "opensesame";

/// How long to wait for what takes a second or two; a loaded machine is no failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// Set where a test that lacks a tool has to fail (`cargo xtask test --require-all`).
const REQUIRE_ALL: &str = "SELVEDGE_REQUIRE_ALL";

pub struct PostgresServer {
    place: Place,
    settings: Vec<(String, String)>,
    server: Option<Running>,
    pub port: u16,
}

struct Place {
    dir: TempDir,
    bin: PathBuf,
    /// Whom the server runs as, if we are root.
    owner: Option<(u32, u32)>,
}

struct Running {
    child: Child,
    said: Receiver<String>,
}

impl PostgresServer {
    /// A server that asks for SCRAM-SHA-256. `None`, with a word about it, where there is none.
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// The same, with settings of `postgresql.conf`.
    pub fn start_with(settings: &[(&str, &str)]) -> Option<Self> {
        let Some(bin) = installed() else {
            let what = "no PostgreSQL server is installed; `cargo xtask needs` says how to get it";
            assert!(std::env::var_os(REQUIRE_ALL).is_none(), "{what}");
            eprintln!("skipped: {what}");
            return None;
        };
        let place = Place::new(bin);
        place.init();
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut server = Self { place, settings, server: None, port: free_port() };
        server.resume();
        Some(server)
    }

    pub fn url(&self) -> String {
        self.url_as(USER, PASSWORD, "postgres")
    }

    pub fn url_as(&self, user: &str, password: &str, database: &str) -> String {
        format!("postgres://{user}:{password}@localhost:{}/{database}", self.port)
    }

    /// Puts a file that only the server may read into its data directory, and answers its path.
    pub fn private_file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.place.dir.path().join("data").join(name);
        fs::write(&path, content).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
        self.place.give(&path);
        path
    }

    /// Goes on with other settings, on the same port.
    pub fn restart_with(&mut self, settings: &[(&str, &str)]) {
        self.kill();
        self.settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.resume();
    }

    /// Ends at once, with all that is in progress, as after a loss of power.
    pub fn kill(&mut self) {
        let Some(mut running) = self.server.take() else { return };
        let mut stop = self.place.command("pg_ctl");
        stop.args(["stop", "-s", "-m", "immediate", "-D"]).arg(self.place.dir.path().join("data"));
        if !stop.status().is_ok_and(|status| status.success()) {
            // It may have ended already.
            let _ = running.child.kill();
        }
        let _ = running.child.wait();
    }

    /// Starts on the cluster as it is.
    pub fn resume(&mut self) {
        for _ in 0..20 {
            let running = self.place.serve(self.port, &self.settings);
            if running.is_ready() {
                self.server = Some(running);
                return;
            }
            // The one before still ends, or another took the port.
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the server does not start");
    }

    /// Runs SQL as the superuser, and answers what it says, a line for a row.
    #[track_caller]
    pub fn sql(&self, text: &str) -> String {
        let mut command = Command::new(self.place.bin.join("psql"));
        command.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            "127.0.0.1",
            "-U",
            USER,
            "-d",
            "postgres",
        ]);
        command.args(["-p", &self.port.to_string(), "-c", text]).env("PGPASSWORD", PASSWORD);
        let output = command.output().expect("psql runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Running {
    /// Waits until it takes connections; false if it ended instead.
    fn is_ready(&self) -> bool {
        while let Ok(line) = self.said.recv_timeout(PATIENCE) {
            if line.contains("ready to accept connections") {
                return true;
            }
        }
        false
    }
}

impl Place {
    fn new(bin: PathBuf) -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let is_root = fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
        let place = Self { dir, bin, owner: is_root.then(postgres_user) };
        place.give(place.dir.path());
        place
    }

    fn give(&self, path: &Path) {
        if let Some((user, group)) = self.owner {
            chown(path, Some(user), Some(group)).expect("root may give files away");
        }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.current_dir(self.dir.path()).env_remove("PGDATA");
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }

    fn init(&self) {
        let password = self.dir.path().join("password");
        fs::write(&password, PASSWORD).expect("a file");
        self.give(&password);
        let mut command = self.command("initdb");
        command.args(["--no-sync", "--no-instructions", "-E", "UTF8", "--locale=C", "-A", "scram-sha-256", "-U", USER]);
        command.arg("--pwfile").arg(&password).arg("-D").arg(self.dir.path().join("data"));
        let output = command.output().expect("initdb runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn serve(&self, port: u16, settings: &[(String, String)]) -> Running {
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.dir.path().join("data")).args(["-p", &port.to_string(), "-h", "127.0.0.1"]);
        // No file is flushed: nothing here outlives the test.
        let own = [("unix_socket_directories", ""), ("fsync", "off"), ("shared_buffers", "16MB")];
        for (name, value) in own.into_iter().chain(settings.iter().map(|(name, value)| (&**name, &**value))) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("postgres runs");
        let pipe = child.stderr.take().expect("a pipe");
        let (to, said) = mpsc::channel();
        std::thread::spawn(move || {
            // Read to the end, so that the server never waits for its log.
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                let _ = to.send(line);
            }
        });
        Running { child, said }
    }
}

/// The newest version that a package of Debian's has put where they go, or the one on the path.
fn installed() -> Option<PathBuf> {
    let version = |path: &PathBuf| path.parent()?.file_name()?.to_str()?.parse::<u32>().ok();
    let packaged = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let packaged = packaged.map(|entry| entry.path().join("bin")).filter(|bin| bin.join("postgres").is_file());
    packaged.max_by_key(version).or_else(|| {
        let paths = std::env::var_os("PATH")?;
        std::env::split_paths(&paths).find(|bin| bin.join("postgres").is_file())
    })
}

fn postgres_user() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").expect("the list of users");
    let line = users.lines().find(|line| line.starts_with("postgres:")).expect("the package makes a user");
    let mut fields = line.split(':').skip(2).map(|field| field.parse().expect("a number"));
    (fields.next().expect("a user"), fields.next().expect("a group"))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its address").port()
}
