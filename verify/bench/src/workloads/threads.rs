//! A thread for each task: rounds of tasks that are spawned together and joined in order.

use polyexec_futures::count;

use super::nanoseconds_each;
use crate::contestants::threads::Threads;
use crate::row::Contestant;

#[derive(Clone, Copy)]
pub struct Joined {
    pub rounds: u64,
    pub tasks: u64,
    pub polls: u64,
}

impl Joined {
    /// In microseconds for each task. The warm-up is one round.
    pub fn on<T: Threads>(self) -> Contestant {
        Contestant::named::<T>(move || {
            let threads = T::start();
            Joined { rounds: 1, ..self }.measure(&threads);
            self.measure(&threads)
        })
    }

    fn measure(self, threads: &impl Threads) -> f64 {
        let (time, polls) = nanoseconds_each(self.rounds * self.tasks, || {
            let mut polls = 0;
            for _ in 0..self.rounds {
                let handles: Vec<_> = (0..self.tasks).map(|_| threads.spawn(count(self.polls))).collect();
                polls += handles.into_iter().map(|handle| threads.join(handle)).sum::<u64>();
            }
            polls
        });
        assert_eq!(polls, self.rounds * self.tasks * self.polls);
        time / 1_000.0
    }
}
