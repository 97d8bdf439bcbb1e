//! Adapts this crate's timers for hyper.

use std::boxed::Box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;
use std::time::Instant;

use ::hyper::rt;

use crate::time;

/// Adapts this crate's [timers](crate::time) for hyper. Its timeouts need one.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use hyper::server::conn::http1;
/// use polyexec_io::hyper::HyperTimer;
///
/// let mut server = http1::Builder::new();
/// server.timer(HyperTimer).header_read_timeout(Duration::from_secs(5));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct HyperTimer;

impl rt::Timer for HyperTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(Sleep(time::sleep(duration)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(Sleep(time::sleep_until(deadline)))
    }

    fn now(&self) -> Instant {
        time::now()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn rt::Sleep>>, deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<Sleep>() {
            Some(mut sleep) => sleep.0.reset(deadline),
            // Made by another timer, which hyper had before.
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

struct Sleep(time::Sleep);

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        pin!(&mut self.0).poll(cx)
    }
}

impl rt::Sleep for Sleep {}
