//! One future on the calling thread, by each family's own `block_on`.

use polyexec_futures::Counter;

use super::batch::OneCounter;
use crate::contestants::Named;
use crate::row::Contestant;

/// A `block_on`, given one Counter.
trait BlockOn: Named + 'static {
    fn block_on(counter: Counter) -> u64;
}

macro_rules! block_on {
    ($($kind:ident: $name:literal, $package:literal, $function:path;)*) => { $(
        pub struct $kind;

        impl Named for $kind {
            const NAME: &'static str = $name;
            const PACKAGE: &'static str = $package;
        }

        impl BlockOn for $kind {
            fn block_on(counter: Counter) -> u64 {
                $function(counter)
            }
        }
    )* };
}

block_on! {
    Ours: "polyexec block_on", "polyexec", polyexec::core::block_on;
    FuturesLite: "futures-lite block_on", "futures-lite", futures_lite::future::block_on;
    Futures: "futures block_on", "futures", futures::executor::block_on;
    Pollster: "pollster", "pollster", pollster::block_on;
}

fn on<B: BlockOn>(counter: OneCounter) -> Contestant {
    Contestant::named::<B>(move || {
        counter.timed(B::block_on); // the warm-up
        counter.timed(B::block_on)
    })
}

/// All of them.
pub fn contestants(counter: OneCounter) -> [Contestant; 4] {
    [on::<Ours>(counter), on::<FuturesLite>(counter), on::<Futures>(counter), on::<Pollster>(counter)]
}
