//! An executor for a microcontroller, to copy and to change: a heap, one core, no threads, no `std`.
//!
//! | Module | Has | An interrupt handler calls |
//! |---|---|---|
//! | [`executor`] | a queue of ready tasks, run by `main` | |
//! | [`clock`] | sleeps, counted in ticks of a timer | [`Clock::tick`](clock::Clock::tick) |
//! | [`signal`] | an event that a task waits for | [`Signal::raise`](signal::Signal::raise) |
//!
//! Tasks, handles and cancellation are those of `polyexec-core`. `tests/run.rs` runs all of it on a desktop.
//!
//! A firmware adds a global allocator, a panic handler, an implementation of `critical-section`, and the interrupt handlers.
//! Its `main` looks like this:
//!
//! ```no_run
//! # mod cortex_m { pub mod asm { pub fn wfe() {} } }
//! # struct Led;
//! # impl Led { fn toggle(&mut self) {} }
//! use polyexec_core::Executor;
//! use polyexec_no_std::{clock::Clock, executor::RunQueue, signal::Signal};
//!
//! static CLOCK: Clock = Clock::new(); // The timer's handler calls `CLOCK.tick()`,
//! static BUTTON: Signal = Signal::new(); // the button's `BUTTON.raise()`.
//!
//! fn main() -> ! {
//!     # let mut led = Led;
//!     let queue = RunQueue::new(&CLOCK, cortex_m::asm::wfe);
//!     let by_hand = queue.spawn(async move {
//!         loop {
//!             BUTTON.raised().await;
//!             led.toggle();
//!         }
//!     });
//!     queue.block_on(async {
//!         CLOCK.sleep(60_000).await;
//!         by_hand.abort();
//!         core::future::pending().await
//!     })
//! }
//! ```

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod clock;
pub mod executor;
pub mod signal;
