//! The [`Executor`] trait, and what the author of an executor builds on. Programs and libraries need nothing of this module
//! but the trait.
//!
//! # Writing an executor
//!
//! An executor is a queue of [`Task`]s and something that runs them. Its handle implements [`Executor`]; what owns its threads
//! is another type, whose drop shuts it down. This is all of one that has a thread and a queue:
//!
//! ```
//! use std::pin::Pin;
//! use std::sync::mpsc::{self, Receiver, Sender};
//! use std::sync::{Arc, Mutex};
//!
//! use polyexec_core::executor::{Executor, OwnedTasks, Ran, Rejected, Task, context};
//! use polyexec_core::{Handle, block_on};
//!
//! #[derive(Clone)]
//! struct Queue {
//!     sender: Arc<Mutex<Sender<Task>>>,
//!     tasks: Arc<OwnedTasks>,
//! }
//!
//! impl Executor for Queue {
//!     fn submit(&self, task: Task) -> Result<(), Rejected> {
//!         // Refuses the task after `close`.
//!         let task = self.tasks.admit(task)?;
//!         self.schedule(task);
//!         Ok(())
//!     }
//!
//!     fn schedule(&self, task: Task) {
//!         // If the thread is gone, the task is dropped, which ends it.
//!         _ = self.sender.lock().unwrap().send(task);
//!     }
//!
//!     fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
//!         let _context = context::enter(Handle::new(self.clone()));
//!         block_on(future);
//!     }
//! }
//!
//! fn run(executor: &Queue, queue: Receiver<Task>) {
//!     let _context = context::reside(Handle::new(executor.clone()));
//!     for task in queue {
//!         if let Ran::Again(task) = executor.tasks.run(task) {
//!             executor.schedule(task);
//!         }
//!     }
//! }
//!
//! let (sender, queue) = mpsc::channel();
//! let executor = Queue { sender: Arc::new(Mutex::new(sender)), tasks: Arc::default() };
//! let runner = executor.clone();
//! std::thread::spawn(move || run(&runner, queue));
//! assert_eq!(executor.block_on(executor.spawn(async { 6 * 7 })).unwrap(), 42);
//! // The owner's drop: ends the tasks that wait. Those in the queue end when that is dropped.
//! executor.tasks.close();
//! ```
//!
//! | To | take |
//! |---|---|
//! | run a task, and end those that wait at shutdown | [`Task`], [`Ran`], [`OwnedTasks`] |
//! | make `spawn` and `Handle::current` find the executor | [`context::enter`], [`context::reside`] |
//! | put a thread to sleep, where it waits for I/O and timers, too | [`Parker`], [`Alarm`] |
//! | run tasks and a future on the caller's thread | [`RunLoop`] |
//! | keep a value or a task on one thread | [`ThreadBound`], [`Task::new_local`] |
//! | look for I/O between polls, or be an I/O driver | [`driver`] |
//! | bring a clock of its own | [`Clock`] |
//! | live through `fork` | [`process`] |
//!
//! `polyexec-conformance` tests the result in one line.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::panic::Location;
use core::pin::{Pin, pin};

use crate::error::SpawnError;
use crate::{JoinHandle, task};

pub use crate::error::Rejected;
pub use crate::task::large::{Boxed, MAX_INLINE, is_large};
pub use crate::task::slot::TaskSlot;
pub use crate::task::{Ran, Task};
#[cfg(feature = "std")]
pub use crate::task::{current::is_polling, id::OwnerThread, thread_bound::ThreadBound};

#[cfg(feature = "std")]
pub use self::{
    alarm::Alarm,
    clock::{Clock, clock},
    owned_tasks::OwnedTasks,
    park::Parker,
    run_loop::RunLoop,
};
#[cfg(feature = "std")]
pub use crate::block_on::park_on;

#[cfg(feature = "std")]
mod alarm;
#[cfg(feature = "std")]
mod clock;
#[cfg(feature = "std")]
pub mod context;
#[cfg(feature = "std")]
pub mod driver;
#[cfg(feature = "std")]
mod owned_tasks;
#[cfg(feature = "std")]
pub(crate) mod park;
#[cfg(feature = "std")]
pub mod process;
#[cfg(feature = "std")]
mod run_loop;

/// Runs tasks: what a program is written against, and what every executor implements.
///
/// A type that implements this is a *handle*: cheap to clone, and fit to be used from any thread. What owns the threads
/// or the queue is another type, whose drop shuts the executor down; handles that are left then refuse new tasks.
///
/// The trait is object-safe: `Arc<dyn Executor>` is an executor too, with every method, at no further cost.
///
/// # Using an executor
///
/// ```
/// use polyexec_core::{Executor, JoinError};
///
/// async fn sum_of_squares(executor: &(impl Executor + Clone)) -> Result<u64, JoinError> {
///     let tasks: Vec<_> = (1..=3).map(|n: u64| executor.spawn(async move { n * n })).collect();
///     let mut sum = 0;
///     for task in tasks {
///         sum += task.await?;
///     }
///     Ok(sum)
/// }
/// ```
///
/// # Writing an executor
///
/// Three methods: [`submit`](Executor::submit) and [`schedule`](Executor::schedule) put a [`Task`] in a queue, and
/// [`drive`](Executor::drive) polls a future here. Whoever takes a task from the queue calls [`Task::run`], and puts it
/// back if the answer is [`Ran::Again`]. [`OwnedTasks`] ends what is left at
/// shutdown. Everything else is the same for every executor, and done in the task: the
/// [budget](crate::task::poll_proceed) of each poll, say.
pub trait Executor: Send + Sync + 'static {
    /// Takes a new task, to be run soon; never runs it here and now.
    ///
    /// # Errors
    ///
    /// An executor that can't take the task gives it back: it has shut down, or there is no thread to be had.
    fn submit(&self, task: Task) -> Result<(), Rejected>;

    /// Takes a task that was woken, to be run soon.
    ///
    /// Called from any thread and from any destructor; never fails, never panics, never runs the task here and now. An
    /// executor that has shut down drops it.
    fn schedule(&self, task: Task);

    /// Polls `future` on the calling thread, whosever it is, until it is ready, while the executor's tasks make progress.
    ///
    /// An executor whose tasks run on threads of its own [enters](crate::executor::context::enter) its context here, and calls
    /// [`block_on`](crate::block_on).
    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>);

    /// Polls `future` in the middle of a task, whose thread it blocks until it is ready.
    ///
    /// Called by [`block_on`](crate::block_on), and with it by [`JoinHandle::join`], on threads where the executor
    /// [resides](crate::executor::context::reside), in its context. The other tasks should go on meanwhile: `future` may wait for
    /// them. As provided, it sleeps between the polls by means of [`block_in_place`](Executor::block_in_place).
    #[cfg(feature = "std")]
    fn wait(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        crate::block_on::park_with(future, |parker| self.block_in_place(&mut || parker.park()));
    }

    /// Runs `work`, which is about to block the thread of the current task.
    ///
    /// Called by [`block_in_place`](crate::block_in_place) on threads where the executor
    /// [resides](crate::executor::context::reside). An executor that can puts another thread in this one's place meanwhile. As
    /// provided, it runs `work`, and tells the executor in one of whose tasks this one is driven, if that is so.
    #[cfg(feature = "std")]
    fn block_in_place(&self, work: &mut dyn FnMut()) {
        crate::executor::context::outside(|outside| crate::block_in_place(|| outside.inside(work)));
    }

    /// The clock that timers of this executor's tasks go by, if it isn't the real one.
    #[cfg(feature = "std")]
    fn clock(&self) -> Option<Arc<dyn crate::executor::Clock>> {
        None
    }

    /// Spawns `future` as a task of its own, and returns its handle.
    ///
    /// The future is not polled before this returns. It is kept in the task's one allocation, or in one of its own if it
    /// [is large](crate::executor::is_large): 2 KiB. An executor that can't take it resolves the handle with an error,
    /// and drops the future; see [`try_spawn`](Executor::try_spawn) to have it back.
    #[track_caller]
    fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        Self: Clone + Sized,
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if const { is_large::<F>() } {
            return task::spawn(self.clone(), Boxed::from(Box::new(future)), Location::caller());
        }
        task::spawn(self.clone(), future, Location::caller())
    }

    /// Spawns `future` as a task of its own, or gives it back.
    ///
    /// # Errors
    ///
    /// The executor's reason for not taking the task, and the future.
    #[track_caller]
    fn try_spawn<F>(&self, future: F) -> Result<JoinHandle<F::Output>, SpawnError<F>>
    where
        Self: Clone + Sized,
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if const { is_large::<F>() } {
            return task::try_spawn(self.clone(), Boxed::from(Box::new(future)), Location::caller())
                .map_err(SpawnError::unboxed);
        }
        task::try_spawn(self.clone(), future, Location::caller())
    }

    /// Polls `future` on the calling thread until it is ready, and returns its output; the executor's tasks make
    /// progress meanwhile. Works inside a task too.
    ///
    /// # Panics
    ///
    /// If `future` does.
    fn block_on<F: Future>(&self, future: F) -> F::Output
    where
        Self: Sized,
    {
        if const { is_large::<F>() } {
            return drive(self, Box::pin(future));
        }
        drive(self, future)
    }
}

fn drive<F: Future>(executor: &impl Executor, future: F) -> F::Output {
    let mut output = None;
    executor.drive(pin!(async { output = Some(future.await) }));
    output.expect("`drive` returns when the future is ready")
}

impl<E: Executor + ?Sized> Executor for Arc<E> {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        (**self).submit(task)
    }

    fn schedule(&self, task: Task) {
        (**self).schedule(task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        (**self).drive(future);
    }

    #[cfg(feature = "std")]
    fn wait(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        (**self).wait(future);
    }

    #[cfg(feature = "std")]
    fn block_in_place(&self, work: &mut dyn FnMut()) {
        (**self).block_in_place(work);
    }

    #[cfg(feature = "std")]
    fn clock(&self) -> Option<Arc<dyn crate::executor::Clock>> {
        (**self).clock()
    }
}
