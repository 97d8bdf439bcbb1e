//! A stand-in for the timers, over async-io: goes when they are there.
#![allow(missing_docs)]

use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use std::time::{Duration, Instant};

#[derive(Debug)]
pub struct Sleep(async_io::Timer);

impl Sleep {
    pub fn reset(self: Pin<&mut Self>, deadline: Instant) {
        self.get_mut().0.set_at(deadline);
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        pin!(&mut self.0).poll(cx).map(drop)
    }
}

pub fn sleep(duration: Duration) -> Sleep {
    Sleep(async_io::Timer::after(duration))
}

pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep(async_io::Timer::at(deadline))
}

#[derive(Debug)]
pub struct Elapsed;

impl core::fmt::Display for Elapsed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the time is over")
    }
}

pub async fn timeout<F: Future>(duration: Duration, future: F) -> Result<F::Output, Elapsed> {
    timeout_at(Instant::now() + duration, future).await
}

pub async fn timeout_at<F: Future>(deadline: Instant, future: F) -> Result<F::Output, Elapsed> {
    let (mut future, mut sleep) = (pin!(future), pin!(sleep_until(deadline)));
    core::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending => sleep.as_mut().poll(cx).map(|()| Err(Elapsed)),
    })
    .await
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissedTick {
    Burst,
    Delay,
    Skip,
}

#[derive(Debug)]
pub struct Interval {
    next: Instant,
    period: Duration,
    missed: MissedTick,
}

pub fn interval(period: Duration) -> Interval {
    Interval { next: Instant::now(), period, missed: MissedTick::Burst }
}

impl Interval {
    #[must_use]
    pub fn missed_tick(mut self, missed: MissedTick) -> Self {
        self.missed = missed;
        self
    }

    pub async fn tick(&mut self) -> Instant {
        let due = self.next;
        sleep_until(due).await;
        self.next = match self.missed {
            MissedTick::Burst => due + self.period,
            MissedTick::Delay => Instant::now() + self.period,
            MissedTick::Skip => {
                let mut next = due + self.period;
                while next <= Instant::now() {
                    next += self.period;
                }
                next
            }
        };
        due
    }
}
