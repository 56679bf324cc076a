//! Answers to those who wait for the disk: one wake for each of their threads.
//!
//! A flush keeps what many wait for, most of them on few threads. To wake a task of another thread
//! takes a lock and often a system call, and a thread takes such wakes after its own work. So the
//! first of a thread is woken, with the others behind it, and wakes them where they are.

use std::task::Waker;
use std::thread::ThreadId;

use services::StoreError;

/// Somebody who waits.
pub trait Waits: Send {
    /// Where, if it looks as soon as it is woken, and so may answer others that wait there, too.
    fn home(&self) -> Option<ThreadId>;
    /// Tells what became of it. Who waits answers those behind it.
    fn tell(self: Box<Self>, result: Result<(), StoreError>, behind: Option<Behind>);
}

/// What somebody is told: the answer, and who is to be answered by it.
pub type Told<T, E> = (Result<T, E>, Option<Behind>);

/// Those who wait on the thread of one that was told. They are told when this is dropped, so also if
/// that one went away.
pub struct Behind {
    waiting: Vec<Box<dyn Waits>>,
    result: Result<(), StoreError>,
}

impl Drop for Behind {
    fn drop(&mut self) {
        self.waiting.drain(..).for_each(|waits| waits.tell(self.result.clone(), None));
    }
}

/// Tells everyone.
pub fn tell_all(all: impl IntoIterator<Item = Box<dyn Waits>>, result: &Result<(), StoreError>) {
    let mut homes: Vec<(ThreadId, Vec<Box<dyn Waits>>)> = Vec::new();
    for waits in all {
        match waits.home() {
            None => waits.tell(result.clone(), None),
            Some(home) => match homes.iter_mut().find(|(known, _)| *known == home) {
                Some((_, neighbours)) => neighbours.push(waits),
                None => homes.push((home, vec![waits])),
            },
        }
    }
    for (_, neighbours) in homes {
        let mut neighbours = neighbours.into_iter();
        let Some(first) = neighbours.next() else { continue };
        let behind = (neighbours.len() > 0).then(|| Behind { waiting: neighbours.collect(), result: result.clone() });
        first.tell(result.clone(), behind);
    }
}

/// A task that looks for itself.
impl Waits for Waker {
    fn home(&self) -> Option<ThreadId> {
        None
    }

    fn tell(self: Box<Self>, _: Result<(), StoreError>, _: Option<Behind>) {
        self.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    struct Caller {
        number: u32,
        home: Option<ThreadId>,
        told: mpsc::Sender<(u32, Option<Behind>)>,
    }

    impl Waits for Caller {
        fn home(&self) -> Option<ThreadId> {
            self.home
        }

        fn tell(self: Box<Self>, result: Result<(), StoreError>, behind: Option<Behind>) {
            assert_eq!(result, Err(StoreError::Closed));
            let _ = self.told.send((self.number, behind));
        }
    }

    #[test]
    fn the_first_of_each_thread_is_told_and_tells_the_others() {
        let (told, heard) = mpsc::channel();
        let here = thread::current().id();
        let there = thread::spawn(|| thread::current().id()).join().expect("it ends");
        let homes = [Some(here), None, Some(there), Some(here), Some(here)];
        let caller = |(number, home)| Box::new(Caller { number, home, told: told.clone() }) as Box<dyn Waits>;
        tell_all((0..).zip(homes).map(caller), &Err(StoreError::Closed));
        let firsts: Vec<(u32, Option<Behind>)> = heard.try_iter().collect();
        assert_eq!(firsts.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 0, 2]);
        let behind = |(_, behind): &(u32, Option<Behind>)| behind.is_some();
        assert_eq!(firsts.iter().map(behind).collect::<Vec<_>>(), [false, true, false]);
        drop(firsts);
        assert_eq!(heard.try_iter().map(|(number, _)| number).collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn those_behind_one_that_went_away_are_told() {
        let ((gone, nobody), (told, heard)) = (mpsc::channel(), mpsc::channel());
        drop(nobody);
        let home = Some(thread::current().id());
        let callers = [(0, gone), (1, told)];
        let caller = |(number, told)| Box::new(Caller { number, home, told }) as Box<dyn Waits>;
        tell_all(callers.map(caller), &Err(StoreError::Closed));
        assert_eq!(heard.recv().expect("told").0, 1);
    }
}
