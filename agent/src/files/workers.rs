//! Threads for what may wait: a disk, a file system that another program or the host serves, a supervisor that does not read.
//! One does one thing at a time. They are made when all others are busy, and few stay when there is nothing to do.

use crate::sys::locked;
use std::collections::VecDeque;
use std::io::Result;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// So many wait for more to do; others end.
const MOST_IDLE: usize = 4;
/// Bytes; the deepest calls have a path of 4 KiB on the stack, some of them twice.
const STACK: usize = 256 << 10;

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    idle: usize,
    busy: usize,
}

#[derive(Default)]
struct Pool {
    state: Mutex<State>,
    /// There is more to do.
    changed: Condvar,
    /// Something has been done.
    done: Condvar,
}

#[derive(Default)]
pub struct Workers {
    pool: Arc<Pool>,
}

impl Workers {
    /// Has something done now, beside all else. Fails when there is no memory for it.
    pub fn start(&self, job: impl FnOnce() + Send + 'static) -> Result<()> {
        let mut state = locked(&self.pool.state);
        if state.idle <= state.jobs.len() {
            let pool = Arc::clone(&self.pool);
            thread::Builder::new()
                .stack_size(STACK)
                .spawn(move || pool.work())?;
            state.idle += 1;
        }
        state.jobs.push_back(Box::new(job));
        self.pool.changed.notify_one();
        Ok(())
    }

    /// Waits until nothing is being done any more, at most so long. Returns whether that is so.
    pub fn rest(&self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        let mut state = locked(&self.pool.state);
        while state.busy > 0 || !state.jobs.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = match self.pool.done.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        true
    }
}

impl Pool {
    fn work(&self) {
        let mut state = locked(&self.state);
        loop {
            let job = match state.jobs.pop_front() {
                Some(job) => job,
                None if state.idle > MOST_IDLE => {
                    state.idle -= 1;
                    return;
                }
                None => {
                    state = match self.changed.wait(state) {
                        Ok(state) => state,
                        Err(poisoned) => poisoned.into_inner(),
                    };
                    continue;
                }
            };
            state.idle -= 1;
            state.busy += 1;
            drop(state);
            job();
            state = locked(&self.state);
            state.busy -= 1;
            state.idle += 1;
            self.done.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn what_waits_keeps_nobody_else_waiting() {
        let workers = Workers::default();
        let (release, held) = channel::<()>();
        workers
            .start(move || {
                let _ = held.recv();
            })
            .unwrap();
        let (done, told) = channel();
        for number in 0..20 {
            let done = done.clone();
            workers.start(move || done.send(number).unwrap()).unwrap();
        }
        let mut numbers: Vec<i32> = told.iter().take(20).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..20).collect::<Vec<i32>>());
        assert!(!workers.rest(Duration::from_millis(1)));
        release.send(()).unwrap();
        assert!(workers.rest(Duration::from_secs(60)));
    }
}
