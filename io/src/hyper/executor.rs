//! Spawns hyper's tasks. Knows nothing of HTTP.

use ::hyper::rt;
use polyexec_core::Executor;

/// Adapts any [`Executor`] for hyper. HTTP/2 needs it, whose connections spawn tasks.
///
/// The default spawns on the executor that polls the connection.
///
/// Tasks are detached. A task that the executor refuses, such as after a shutdown, is dropped; hyper then sees a connection or a
/// request that ends early.
///
/// # Examples
///
/// ```
/// use hyper::client::conn::http2;
/// # use http_body_util::Empty;
/// # use hyper::body::Bytes;
/// use polyexec_io::hyper::HyperExecutor;
///
/// # let pool = polyexec_pool::Pool::new()?;
/// let client = http2::Builder::new(HyperExecutor::new(pool.handle()));
/// # async fn types<E: polyexec_core::Executor + Clone>(client: http2::Builder<HyperExecutor<E>>) {
/// #     let io = polyexec_io::hyper::HyperIo::new(futures_lite::io::Cursor::new(Vec::new()));
/// #     let _ = client.handshake::<_, Empty<Bytes>>(io).await;
/// # }
/// # let _ = types(client);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct HyperExecutor<E = CurrentExecutor> {
    executor: E,
}

/// Stands for the executor of the calling code, in [`HyperExecutor`].
///
/// # Examples
///
/// ```
/// use hyper::server::conn::http2;
/// use polyexec_io::hyper::HyperExecutor;
///
/// let server = http2::Builder::new(HyperExecutor::default());
/// # let _ = server;
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct CurrentExecutor;

impl Default for HyperExecutor {
    fn default() -> Self {
        Self::new(CurrentExecutor)
    }
}

impl<E> HyperExecutor<E> {
    /// Spawns on `executor`.
    pub fn new(executor: E) -> Self {
        Self { executor }
    }

    /// Returns the inner executor.
    pub fn into_inner(self) -> E {
        self.executor
    }
}

/// The executor is never pinned, and hyper's client requires `Unpin`.
impl<E> Unpin for HyperExecutor<E> {}

impl<E, F> rt::Executor<F> for HyperExecutor<E>
where
    E: Executor + Clone,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        // Dropping the handle detaches the task.
        drop(self.executor.spawn(future));
    }
}

impl<F> rt::Executor<F> for HyperExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        drop(polyexec_core::spawn(future));
    }
}
