//! One future after another on the calling thread, by each family's own `block_on`.

use std::future::{Ready, ready};
use std::hint::black_box;

use polyexec_futures::Counter;

use super::batch::OneCounter;
use super::{nanoseconds_each, sum_below};
use crate::contestants::{Named, named};
use crate::row::Contestant;

/// A `block_on`.
trait BlockOn: Named + 'static {
    fn block_on<F: Future>(future: F) -> F::Output;
}

macro_rules! block_on {
    ($($kind:ident: $name:literal, $package:literal, $function:path;)*) => { $(
        pub struct $kind;

        named!($kind: $name, $package);

        impl BlockOn for $kind {
            fn block_on<F: Future>(future: F) -> F::Output {
                $function(future)
            }
        }
    )* };
}

block_on! {
    Core: "polyexec block_on", "polyexec", polyexec_core::block_on;
    Facade: "polyexec::block_on", "polyexec", polyexec::block_on;
    FuturesLite: "futures-lite block_on", "futures-lite", futures_lite::future::block_on;
    Futures: "futures block_on", "futures", futures::executor::block_on;
    Pollster: "pollster", "pollster", pollster::block_on;
}

fn on<B: BlockOn>(counter: OneCounter) -> Contestant {
    Contestant::named::<B>(move || {
        counter.timed(B::block_on::<Counter>); // the warm-up
        counter.timed(B::block_on::<Counter>)
    })
}

/// All of them.
pub fn contestants(counter: OneCounter) -> [Contestant; 4] {
    [on::<Core>(counter), on::<FuturesLite>(counter), on::<Futures>(counter), on::<Pollster>(counter)]
}

/// One `block_on` after another, of a future that is ready: what a call takes.
#[derive(Clone, Copy)]
pub struct Calls {
    pub calls: u64,
}

impl Calls {
    fn on<B: BlockOn>(self) -> Contestant {
        Contestant::named::<B>(move || {
            self.timed(B::block_on);
            self.timed(B::block_on)
        })
    }

    fn timed(self, block_on: fn(Ready<u64>) -> u64) -> f64 {
        // A pointer, so that no call is moved out of the loop.
        let block_on = black_box(block_on);
        let (time, sum) = nanoseconds_each(self.calls, || (0..self.calls).map(|n| block_on(ready(n))).sum::<u64>());
        assert_eq!(sum, sum_below(self.calls));
        time
    }

    /// Ours, as the facade has it, beside the peers.
    pub fn contestants(self) -> [Contestant; 4] {
        [self.on::<Facade>(), self.on::<FuturesLite>(), self.on::<Futures>(), self.on::<Pollster>()]
    }

    /// Ours, as core has it, beside the peers.
    pub fn contestants_in_core(self) -> [Contestant; 4] {
        [self.on::<Core>(), self.on::<FuturesLite>(), self.on::<Futures>(), self.on::<Pollster>()]
    }
}
