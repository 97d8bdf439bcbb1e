//! Sleeps for hyper. Counts no time of its own.

use alloc::boxed::Box;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::time::Instant;

use ::hyper::rt;

use crate::time;

/// This crate's [timers](crate::time) as hyper's: for its timeouts, none of which works without one.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use hyper::server::conn::http1;
/// use polyexec_futures::hyper::HyperTimer;
///
/// let mut server = http1::Builder::new();
/// server.timer(HyperTimer).header_read_timeout(Duration::from_secs(5));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct HyperTimer;

impl rt::Timer for HyperTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(Sleep { sleep: Box::pin(time::sleep(duration)) })
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(Sleep { sleep: Box::pin(time::sleep_until(deadline)) })
    }
}

struct Sleep {
    sleep: Pin<Box<time::Sleep>>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.sleep.as_mut().poll(cx)
    }
}

impl rt::Sleep for Sleep {}
