//! A data directory that is lost, and what is made anew from the copy of its archive.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{AppName, ClassName, Clock as _, NodeLimits, TenantName};
use bytes::Bytes;
use services::care::{Care as _, CareError};
use services::object::{Alarm, Leases as _, ObjectClass, ObjectKey, ObjectStore as _};
use services::sql::SqlName;
use services::{AppId, Sql as _, SqlDatabase, SqlStatement, SqlValue};
use services_local::{DataDir, DataDirOptions, Depot, DirectoryDepot, Recover, Recovered, archives, recover};
use testkit::ManualClock;

use crate::{Place, block_on};

fn app() -> AppId {
    AppId::new(TenantName::parse("acme").expect("a name"), AppName::parse("shop").expect("a name"))
}

fn database(name: &str) -> SqlDatabase {
    SqlDatabase::new(&app(), SqlName::parse(name).expect("a name"))
}

fn everything() -> Recover {
    Recover { id: None, at_ms: u64::MAX, only: Vec::new(), replace: false }
}

/// A node whose archive is copied as fast as it may be.
struct Node {
    place: Place,
    clock: Arc<ManualClock>,
}

impl Node {
    fn new() -> Self {
        let node = Self { place: Place::new(), clock: ManualClock::new() };
        std::fs::create_dir(node.path("elsewhere")).expect("made");
        node
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.data().with_file_name(name)
    }

    fn depot(&self) -> DirectoryDepot {
        DirectoryDepot::new(&self.path("elsewhere"))
    }

    fn options(&self) -> DataDirOptions {
        let limits = NodeLimits { archive_copy_ms: 100, ..NodeLimits::default() };
        DataDirOptions { clock: self.clock.clone(), limits, ..DataDirOptions::new(self.path("node.key")) }
    }

    fn open(&self, name: &str) -> DataDir {
        let archive: Arc<dyn Depot> = Arc::new(self.depot());
        DataDir::open(self.path(name), DataDirOptions { archive: Some(archive), ..self.options() }).expect("opens")
    }

    fn recover(&self, to: &str, what: &Recover) -> Result<Recovered, CareError> {
        recover(&self.depot(), &self.path(to), self.options(), what)
    }

    /// Closes a data directory once its copy has everything.
    fn close(&self, data: DataDir) {
        let (begun, care) = (Instant::now(), data.care());
        self.clock.advance(1);
        while care.archive_copy().is_none_or(|copy| copy.behind_ms > 0 || copy.problem.is_some()) {
            assert!(begun.elapsed() < Duration::from_secs(60), "the copy is not finished: {:?}", care.archive_copy());
            self.clock.advance(1);
            std::thread::yield_now();
        }
        let released = data.released();
        drop((data, care));
        assert!(released.wait(Duration::from_secs(60)), "it closes");
    }
}

fn run(data: &DataDir, name: &str, sql: &str) -> Vec<SqlValue> {
    let answer = block_on(data.sql().batch(&database(name), vec![SqlStatement::bind(sql, Vec::new())]));
    answer.expect("done").results.remove(0).rows.values
}

fn write(data: &DataDir, name: &str, n: i64) {
    run(data, name, "CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY)");
    run(data, name, &format!("INSERT INTO t VALUES ({n})"));
}

/// The numbers in a database; nothing, if it is not there.
fn numbers(data: &DataDir, name: &str) -> Option<Vec<SqlValue>> {
    let file = data.path().join(format!("sql/acme/shop/{name}.db"));
    file.exists().then(|| run(data, name, "SELECT n FROM t ORDER BY n"))
}

fn integers<const N: usize>(numbers: [i64; N]) -> Option<Vec<SqlValue>> {
    Some(numbers.map(SqlValue::Integer).to_vec())
}

fn counter() -> ObjectKey {
    let class = ObjectClass::new(app(), ClassName::parse("Counter").expect("a name"));
    ObjectKey { id: class.id_of_name("one"), class }
}

fn set_counter(data: &DataDir, value: &[u8], due_ms: u64) {
    block_on(async {
        let (objects, key) = (data.objects().expect("opens"), counter());
        let lease = objects.acquire(&key).await.expect("it is free");
        let mut storage = objects.open(&key, lease.fence).await.expect("it opens");
        storage.put("n", value).expect("put");
        storage.set_alarm(Some(Alarm::at(due_ms))).expect("set");
        storage.commit().expect("committed").expect("it wrote").await.expect("durable");
    });
}

/// What the object holds, and when it is to be woken as the node knows before anybody opens it.
fn counter_of(data: &DataDir) -> (Option<Bytes>, Vec<u64>) {
    block_on(async {
        let (objects, key) = (data.objects().expect("opens"), counter());
        let due = objects.due(u64::MAX >> 1, 100).await.expect("read").into_iter().map(|(_, due_ms)| due_ms).collect();
        let lease = objects.acquire(&key).await.expect("it is free");
        let mut storage = objects.open(&key, lease.fence).await.expect("it opens");
        (storage.get(&["n"]).expect("read").remove(0), due)
    })
}

#[test]
fn what_a_lost_disk_held_is_made_anew_as_it_was_at_any_moment() {
    let node = Node::new();
    let data = node.open("data");
    write(&data, "main", 1);
    set_counter(&data, b"one", 1_000_000_000_000);
    let early = node.clock.unix_ms();
    node.clock.advance(5_000);
    write(&data, "main", 2);
    write(&data, "later", 7);
    write(&data, "gone", 8);
    set_counter(&data, b"two", 2_000_000_000_000);
    let full = node.clock.unix_ms();
    node.clock.advance(5_000);
    block_on(data.sql().delete(&database("gone"))).expect("deleted");
    node.close(data);
    std::fs::remove_dir_all(node.path("data")).expect("the disk is lost");

    let listed = archives(&node.depot()).expect("listed");
    assert_eq!(listed.len(), 1);
    let recovered = node.recover("new", &everything()).expect("recovered");
    assert_eq!((recovered.databases, &recovered.id), (3, &listed[0].id));
    assert!((full..full + 1_000).contains(&recovered.newest_ms), "{recovered:?}");
    let data = node.open("new");
    assert_eq!(numbers(&data, "main"), integers([1, 2]));
    assert_eq!(numbers(&data, "later"), integers([7]));
    assert_eq!(numbers(&data, "gone"), None, "it was deleted, and stays so");
    assert_eq!(counter_of(&data), (Some(Bytes::from_static(b"two")), vec![2_000_000_000_000]));
    // It is a data directory like any other, whose past is kept from here on.
    write(&data, "main", 3);
    node.close(data);
    assert_eq!(archives(&node.depot()).expect("listed").len(), 2);
    let named = Recover { id: Some(listed[0].id.clone()), ..everything() };
    assert!(node.recover("x", &everything()).expect_err("which?").to_string().contains("holds 2 copies"));

    node.recover("early", &Recover { at_ms: early, ..named.clone() }).expect("recovered");
    let data = node.open("early");
    assert_eq!((numbers(&data, "main"), numbers(&data, "later")), (integers([1]), None));
    assert_eq!(counter_of(&data), (Some(Bytes::from_static(b"one")), vec![1_000_000_000_000]));
    drop(data);
    node.recover("full", &Recover { at_ms: full + 1_000, ..named }).expect("recovered");
    let data = node.open("full");
    assert_eq!((numbers(&data, "main"), numbers(&data, "gone")), (integers([1, 2]), integers([8])));
    let left = std::fs::read_dir(node.place.path()).expect("read").map(|one| one.expect("one").file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains("ing")).collect();
    assert!(left.is_empty(), "what was begun is gone: {left:?}");
}

#[test]
fn one_database_takes_the_place_of_what_is_there() {
    let node = Node::new();
    let data = node.open("data");
    write(&data, "main", 1);
    write(&data, "other", 1);
    set_counter(&data, b"one", 1_000_000_000_000);
    let early = node.clock.unix_ms();
    node.clock.advance(5_000);
    write(&data, "main", 2);
    write(&data, "other", 2);
    set_counter(&data, b"two", 2_000_000_000_000);
    node.close(data);

    let refused = node.recover("data", &everything()).expect_err("it is not empty").to_string();
    assert!(refused.contains("is not empty"), "{refused}");
    let none = Recover { only: vec!["sql/acme/shop/mai".into()], replace: true, ..everything() };
    assert!(node.recover("data", &none).expect_err("no such name").to_string().contains("has none of these"));
    let only = vec!["sql/acme/shop/main".to_owned(), "objects/acme/shop/".to_owned()];
    let what = Recover { only, at_ms: early, replace: true, id: None };
    assert_eq!(node.recover("data", &what).expect("recovered").databases, 2);
    let data = node.open("data");
    assert_eq!((numbers(&data, "main"), numbers(&data, "other")), (integers([1]), integers([1, 2])));
    assert_eq!(counter_of(&data), (Some(Bytes::from_static(b"one")), vec![1_000_000_000_000]));
    write(&data, "main", 3);
    assert!(block_on(data.care().check()).expect("checked").damage.is_empty());
    node.close(data);
    // What it was before is a part of its past, and so is what it is now.
    let what = Recover { id: None, only: Vec::new(), at_ms: u64::MAX, replace: true };
    node.recover("data", &what).expect("recovered");
    assert_eq!(numbers(&node.open("data"), "main"), integers([1, 3]));
}

#[test]
fn a_copy_that_is_damaged_makes_no_data_directory() {
    let node = Node::new();
    let data = node.open("data");
    write(&data, "main", 1);
    node.close(data);
    let id = archives(&node.depot()).expect("listed").remove(0).id;
    let shelf = node.path("elsewhere").join(id).join("sql/acme/shop/main.db");
    let file = std::fs::read_dir(shelf).expect("read").next().expect("a file").expect("a file").path();
    let mut bytes = std::fs::read(&file).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).expect("written");
    let refused = node.recover("new", &everything()).expect_err("it is damaged").to_string();
    assert!(refused.contains(".ltx"), "{refused}");
    assert!(!node.path("new").exists() && !node.path("new.restoring").exists());

    let nothing = recover(&DirectoryDepot::new(node.place.path()), &node.path("x"), node.options(), &everything());
    assert!(nothing.expect_err("there is none").to_string().contains("holds no copy"));
}
