//! Anything that implements `polyexec_core::Executor`, with its owner, as a subject.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use polyexec_core::{Executor, JoinError, JoinHandle};

use crate::faults::Fault;
use crate::job::Job;
use crate::outcome::{Outcome, Output};
use crate::subject::{Handle, LocalJob, Manners, Spawner, Subject, Threads};

/// The owner of a polyexec executor.
pub trait Owner: Sized + 'static {
    /// As [`Subject::NAME`].
    const NAME: &'static str;
    /// As [`Subject::WINDOW`].
    const WINDOW: usize;
    /// As [`Subject::EPOCH`].
    const EPOCH: u32;
    /// As [`Manners::home`].
    const HOME: bool;
    /// As [`Subject::LEFT_OUT`].
    const LEFT_OUT: &'static [(Fault, &'static str)];
    /// Its handle.
    type Handle: Executor + Clone;

    /// Starts it.
    ///
    /// # Errors
    ///
    /// There are no threads to be had.
    fn start(threads: Threads) -> io::Result<Self>;

    /// Its handle.
    fn handle(&self) -> Self::Handle;

    /// As [`Subject::tidy`].
    fn tidy() {}

    /// Spawns a future that isn't `Send`.
    fn spawn_local(handle: &Self::Handle, job: LocalJob<Of<Self>>) -> JoinHandle<Output> {
        let (_, _) = (handle, job);
        unreachable!("{} has left out local futures", Self::NAME)
    }
}

/// An owner as a subject.
pub struct Ours<O>(O);

/// Spawns on an owner's executor.
pub struct Of<O: Owner>(O::Handle);

/// A [`JoinHandle`].
pub struct OursHandle(JoinHandle<Output>);

impl From<JoinHandle<Output>> for OursHandle {
    fn from(handle: JoinHandle<Output>) -> Self {
        Self(handle)
    }
}

impl<O: Owner> Subject for Ours<O> {
    const NAME: &'static str = O::NAME;
    const WINDOW: usize = O::WINDOW;
    const EPOCH: u32 = O::EPOCH;
    const MANNERS: Manners = Manners { home: O::HOME, ..Manners::OURS };
    const LEFT_OUT: &'static [(Fault, &'static str)] = O::LEFT_OUT;
    type Spawner = Of<O>;

    fn start(threads: Threads) -> io::Result<Self> {
        O::start(threads).map(Self)
    }

    fn spawner(&self) -> Of<O> {
        Of(self.0.handle())
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.handle().block_on(future)
    }

    fn tidy() {
        O::tidy();
    }
}

impl<O: Owner> Clone for Of<O> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<O: Owner> Spawner for Of<O> {
    type Handle = OursHandle;

    fn spawn(&self, job: Job<Self>) -> OursHandle {
        OursHandle(self.0.spawn(job))
    }

    fn spawn_local(&self, job: LocalJob<Self>) -> OursHandle {
        OursHandle(O::spawn_local(&self.0, job))
    }
}

impl Handle for OursHandle {
    fn aborter(&self) -> Option<Box<dyn Fn() + Send>> {
        let aborter = self.0.abort_handle();
        Some(Box::new(move || aborter.abort()))
    }

    fn abort(self) {
        self.0.abort();
    }

    fn detach(self) {
        drop(self);
    }

    fn join(self) -> Outcome {
        outcome(self.0.join())
    }
}

impl Future for OursHandle {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        Pin::new(&mut self.0).poll(cx).map(outcome)
    }
}

fn outcome(result: Result<Output, JoinError>) -> Outcome {
    match result.map_err(JoinError::try_into_panic) {
        Ok(output) => Outcome::Ready(output),
        Err(Ok(payload)) => Outcome::Panicked(payload),
        Err(Err(error)) if error.is_shutdown() => Outcome::ShutDown,
        Err(Err(error)) if error.is_cancelled() => Outcome::Cancelled,
        Err(Err(_)) => Outcome::Other,
    }
}
