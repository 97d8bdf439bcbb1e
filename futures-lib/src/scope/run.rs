//! Polls a scope: its body, and the ends of its children.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use polyexec_core::JoinError;

use super::children::{Children, CloseOnDrop, News};
use crate::JoinSet;

/// How the body has come to its end.
enum Ended<T> {
    Output(T),
    /// By an error.
    Failed,
    Panicked(Box<dyn Any + Send>),
}

struct Running<T, E> {
    children: Arc<Children<E>>,
    set: JoinSet<Result<(), E>>,
    /// A failure has ended the body and aborted the children. New ones are aborted, too.
    cancelled: bool,
    /// The children were aborted at least once, so that one that was cancelled is no failure.
    aborted: bool,
    /// `None`: it runs, or was dropped for a failure.
    body: Option<Ended<T>>,
    /// The first error, of the body or a child.
    failure: Option<E>,
}

/// Runs a scope to its end. `split` tells an error of the body from its output.
pub(super) async fn run<F: Future, T, E: From<JoinError>>(
    children: Arc<Children<E>>,
    body: F,
    split: fn(F::Output) -> Result<T, E>,
) -> Result<T, E> {
    let _closing = CloseOnDrop(children.clone());
    let mut body = pin!(Some(body));
    let mut running =
        Running { children, set: JoinSet::new(), cancelled: false, aborted: false, body: None, failure: None };
    poll_fn(|cx| running.poll(body.as_mut(), split, cx)).await;
    let Running { body: ended, failure, .. } = running;
    match (ended, failure) {
        (Some(Ended::Panicked(payload)), _) => resume_unwind(payload),
        (_, Some(first)) => Err(first),
        (Some(Ended::Output(output)), None) => Ok(output),
        (Some(Ended::Failed) | None, None) => unreachable!("the body failed, or was dropped after a failure"),
    }
}

impl<T, E: From<JoinError>> Running<T, E> {
    /// Ready when the body and all children have ended.
    fn poll<F: Future>(
        &mut self,
        mut body: Pin<&mut Option<F>>,
        split: fn(F::Output) -> Result<T, E>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            self.join_children(cx);
            // Before the body, which must not see that a child has failed unless it goes on.
            if !self.cancelled && self.must_cancel() {
                self.cancelled = true;
                self.abort();
                self.drop_body(body.as_mut());
            }
            if let Some(running) = body.as_mut().as_pin_mut()
                && let Poll::Ready(ended) = poll_body(running, cx)
            {
                self.body = Some(match ended.map(split) {
                    Ok(Ok(output)) => Ended::Output(output),
                    Ok(Err(error)) => {
                        self.failure.get_or_insert(error);
                        Ended::Failed
                    }
                    Err(payload) => Ended::Panicked(payload),
                });
                self.drop_body(body.as_mut());
                continue;
            }
            if body.is_none() && self.set.is_empty() && self.children.close_if_idle() {
                return Poll::Ready(());
            }
            if self.children.poll_news(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Takes new children into the set, and those that have ended out of it.
    fn join_children(&mut self, cx: &mut Context<'_>) {
        let News { tasks, abort } = self.children.take_news();
        for task in tasks {
            let aborter = self.set.insert(task);
            if self.cancelled {
                aborter.abort();
            }
        }
        if abort {
            self.abort();
        }
        while let Poll::Ready(Some(result)) = self.set.poll_join_next(cx) {
            let failure = match result {
                Ok(Ok(())) => continue,
                Err(error) if self.aborted && error.is_cancelled() => continue,
                Ok(Err(error)) => error,
                Err(error) => error.into(),
            };
            self.failure.get_or_insert(failure);
        }
    }

    /// Whether a failure ends what is left.
    fn must_cancel(&self) -> bool {
        let failed = self.failure.is_some() && !self.children.policy.keeps_going();
        failed || matches!(self.body, Some(Ended::Panicked(_)))
    }

    fn abort(&mut self) {
        self.aborted = true;
        self.set.abort_all();
    }

    /// Drops the body. If that panics, the body has panicked.
    fn drop_body<F>(&mut self, mut body: Pin<&mut Option<F>>) {
        let dropped = catch_unwind(AssertUnwindSafe(|| body.set(None)));
        if let (Err(payload), None | Some(Ended::Output(_) | Ended::Failed)) = (dropped, &self.body) {
            self.body = Some(Ended::Panicked(payload));
        }
    }
}

fn poll_body<F: Future>(body: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<Result<F::Output, Box<dyn Any + Send>>> {
    match catch_unwind(AssertUnwindSafe(|| body.poll(cx))) {
        Ok(polled) => polled.map(Ok),
        Err(payload) => Poll::Ready(Err(payload)),
    }
}
