use std::sync::mpsc;

use super::*;

#[test]
fn lanes_take_turns() {
    let threads = Threads::start("test", 1).expect("a thread");
    let pool = threads.pool();
    let (busy, quiet) = (Lane::default(), Lane::default());
    let (release, held) = mpsc::channel::<()>();
    let (done, order) = mpsc::channel();
    pool.spawn(busy, move || held.recv().expect("released")).expect("queued");
    for n in 0..100 {
        let done = done.clone();
        pool.spawn(busy, move || done.send(("busy", n)).expect("heard")).expect("queued");
    }
    pool.spawn(quiet, move || done.send(("quiet", 0)).expect("heard")).expect("queued");
    release.send(()).expect("held");
    let order: Vec<_> = order.iter().collect();
    let place = order.iter().position(|&(lane, _)| lane == "quiet").expect("it ran");
    assert!(place <= 1, "the quiet lane waited for {place} jobs of the busy one");
    let busy: Vec<_> = order.iter().filter(|(lane, _)| *lane == "busy").map(|&(_, n)| n).collect();
    assert_eq!(busy, (0..100).collect::<Vec<_>>(), "a lane keeps its order");
}

#[test]
fn a_full_lane_is_busy_and_its_neighbour_is_not() {
    let threads = Threads::start("test", 1).expect("a thread");
    let pool = threads.pool();
    let lane = Lane::default();
    let (release, held) = mpsc::channel::<()>();
    let (begun, begin) = mpsc::channel();
    pool.spawn(lane, move || {
        begun.send(()).expect("heard");
        held.recv().expect("released");
    })
    .expect("queued");
    begin.recv().expect("it begins");
    (0..LANE_JOBS_MAX).for_each(|_| pool.spawn(lane, || {}).expect("queued"));
    assert_eq!(pool.spawn(lane, || {}), Err(StoreError::Busy { in_flight: LANE_JOBS_MAX }));
    assert_eq!(pool.spawn(Lane::default(), || {}), Ok(()));
    release.send(()).expect("held");
}

#[test]
fn dropping_the_threads_runs_what_is_queued() {
    let threads = Threads::start("test", 2).expect("threads");
    let (pool, lane) = (threads.pool(), Lane::default());
    let (done, heard) = mpsc::channel();
    pool.spawn(lane, || panic!("a job may panic")).expect("queued");
    for n in 0..50 {
        let done = done.clone();
        pool.spawn(lane, move || done.send(n).expect("heard")).expect("queued");
    }
    drop((threads, done));
    assert_eq!(heard.iter().count(), 50);
    assert_eq!(pool.spawn(lane, || {}), Err(StoreError::Closed));
}

#[test]
fn a_job_that_queues_the_next_is_followed_by_it() {
    let threads = Threads::start("test", 2).expect("threads");
    let (pool, lane) = (threads.pool(), Lane::default());
    let (done, order) = mpsc::channel();
    fn follow(pool: Pool, lane: Lane, left: u32, done: mpsc::Sender<u32>) {
        done.send(left).expect("heard");
        if left > 0 {
            let (again, at) = (pool.clone(), left - 1);
            pool.spawn_next(lane, move || follow(again, lane, at, done)).expect("queued");
        }
    }
    let first = pool.clone();
    pool.spawn(lane, move || follow(first, lane, 100, done)).expect("queued");
    assert!(order.iter().eq((0..=100).rev()));
}

#[test]
fn one_of_a_thread_wakes_for_all_that_it_queued() {
    let threads = Threads::start("test", 1).and_then(|threads| threads.watched("watch")).expect("threads");
    let (pool, lane) = (threads.pool(), Lane::default());
    let (done, heard) = mpsc::channel();
    let queue = |n| {
        let done = done.clone();
        pool.spawn_behind(lane, move || done.send(n).expect("heard")).expect("queued")
    };
    let (first, second) = (queue(1), queue(2));
    assert!(first.0.is_some() && second.0.is_none(), "the first sees to it, and not the second");
    drop((second, first));
    assert_eq!([heard.recv(), heard.recv()], [Ok(1), Ok(2)]);
}

#[test]
fn one_that_takes_its_time_holds_up_nobody() {
    let mut line = Line::default();
    let (here, now) = (std::thread::current().id(), Instant::now());
    let there = std::thread::spawn(|| std::thread::current().id()).join().expect("it ends");
    assert!(line.is_first(here, now) && line.is_first(there, now), "one of each thread");
    assert!(!line.is_first(here, now + STALL / 2), "it has been seen to");
    assert!(line.is_first(here, now + STALL), "who was to do it has not");
    assert!(!line.is_first(here, now + STALL), "and this one is");
}

#[test]
fn jobs_that_get_stuck_hold_up_nobody() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let stuck = cores + 2;
    let threads = Threads::start("test", stuck + 1).and_then(|threads| threads.watched("watch")).expect("threads");
    let (pool, lane) = (threads.pool(), Lane::default());
    let (done, heard) = mpsc::channel();
    let mut dues = Vec::new();
    let releases: Vec<mpsc::Sender<()>> = (0..stuck)
        .map(|_| {
            let (release, held) = mpsc::channel();
            dues.push(pool.spawn_behind(lane, move || held.recv().expect("released")).expect("queued"));
            release
        })
        .collect();
    dues.push(pool.spawn_behind(lane, move || done.send(()).expect("heard")).expect("queued"));
    drop(dues);
    heard.recv().expect("it runs beside those that are stuck");
    releases.iter().for_each(|release| release.send(()).expect("held"));
}
