//! Pairs of tasks that wake each other through nothing but a waker: what an executor takes for that, without a channel.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::task::Poll;

use futures::task::AtomicWaker;

use super::batch::Tasks;

/// Pairs that pass a number back and forth.
#[derive(Clone, Copy)]
pub struct HandOver {
    pub pairs: u64,
    pub round_trips: u64,
}

/// Holds a number other than zero, or none; one task passes, another one takes.
#[derive(Default)]
struct Baton {
    number: AtomicU64,
    taker: AtomicWaker,
}

impl Baton {
    fn pass(&self, number: u64) {
        self.number.store(number, Release);
        self.taker.wake();
    }

    async fn take(&self) -> u64 {
        poll_fn(|cx| {
            if self.number.load(Acquire) == 0 {
                self.taker.register(cx.waker());
            }
            match self.number.swap(0, AcqRel) {
                0 => Poll::Pending,
                number => Poll::Ready(number),
            }
        })
        .await
    }
}

impl Tasks for HandOver {
    fn operations(self) -> u64 {
        self.pairs * self.round_trips
    }

    fn futures(self) -> impl Iterator<Item = impl Future<Output = u64> + Send + 'static> + Send + 'static {
        let round_trips = self.round_trips;
        (0..self.pairs).flat_map(move |_| {
            let [ping, pong] = [(); 2].map(|()| Arc::new(Baton::default()));
            let sides = [(true, ping.clone(), pong.clone()), (false, pong, ping)];
            sides.map(|(serves, to, from)| async move {
                let mut sum = 0;
                for i in 1..=round_trips {
                    if serves {
                        to.pass(i);
                    }
                    let number = from.take().await;
                    sum += number;
                    if !serves {
                        to.pass(number);
                    }
                }
                sum
            })
        })
    }

    fn expected(self) -> u64 {
        self.pairs * self.round_trips * (self.round_trips + 1)
    }
}
