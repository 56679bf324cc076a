use super::*;
use crate::pool::Threads;

fn stock(threads: &Threads, dir: &Path) -> Arc<Stock> {
    Stock::open(dir.to_owned(), b"an object"[..].into(), threads.pool()).expect("opens")
}

#[test]
fn what_is_taken_is_whole_and_is_made_up_for() {
    let (place, threads) = (tempfile::tempdir().expect("a directory"), Threads::start("stock", 1).expect("starts"));
    fs::write(place.path().join("7.new"), b"torn").expect("written");
    let stock = stock(&threads, place.path());
    assert_eq!(stock.take(), None, "nothing is there at first");
    // Ends when what was queued has been done.
    drop(threads);
    for n in 0..KEPT {
        let taken = stock.take().expect("one of many");
        assert_eq!(fs::read(&taken).expect("there"), b"an object");
        fs::rename(&taken, place.path().join(format!("{n}.db"))).expect("renamed");
    }
    assert_eq!(stock.take(), None, "nobody makes more");
}
