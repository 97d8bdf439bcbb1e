//! Libraries for tokio on every executor, unwrapped: `polyexec::tokio::context` has put its threads into a tokio runtime.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use polyexec::{
    Executor, Handle,
    net::{TcpListener, TcpStream},
};

use crate::executors::on_every_executor;

on_every_executor! {
    an_http_client_made_for_tokio
    tokio_itself
}

/// The client of hyper-util, on which reqwest builds: it resolves, connects, waits and spawns with tokio, and pools connections.
fn an_http_client_made_for_tokio(executor: &Handle) {
    use http_body_util::{BodyExt, Full};
    use hyper::body::{Bytes, Incoming};
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper::{Request, Response};
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;
    use polyexec::hyper::{HyperIo, HyperTimer};

    polyexec::tokio::context().unwrap();
    executor.block_on(async {
        let listener = TcpListener::bind("localhost:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let server = executor.spawn({
            let (executor, connections) = (executor.clone(), connections.clone());
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    connections.fetch_add(1, Relaxed);
                    let answer = service_fn(|request: Request<Incoming>| async move {
                        let body = request.into_body().collect().await?.to_bytes();
                        Ok::<_, hyper::Error>(Response::new(Full::new(body)))
                    });
                    let served =
                        http1::Builder::new().timer(HyperTimer).serve_connection(HyperIo::vectored(stream), answer);
                    drop(executor.spawn(served));
                }
            }
        });

        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let requests: Vec<_> = (0..20)
            .map(|n| {
                let client = client.clone();
                executor.spawn(async move {
                    let text = "around ".repeat(n * 1_000);
                    let uri = format!("http://localhost:{port}/");
                    let request = Request::post(uri).body(Full::new(Bytes::from(text.clone()))).unwrap();
                    let response = client.request(request).await.unwrap();
                    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), text);
                })
            })
            .collect();
        for request in requests {
            request.await.unwrap();
        }
        assert!((1..=20).contains(&connections.load(Relaxed)));
        drop(client);
        server.abort();
        assert!(server.await.unwrap_err().is_cancelled());
    });
}

/// Tokio's sockets, timers, channels and blocking threads.
fn tokio_itself(executor: &Handle) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_util::compat::FuturesAsyncReadCompatExt;

    polyexec::tokio::context().unwrap();
    let task = executor.spawn(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await?;
            let mut text = String::new();
            stream.read_to_string(&mut text).await?;
            sender.send(text).await.map_err(io::Error::other)
        });
        // A polyexec stream as a tokio stream.
        let mut stream = TcpStream::connect(address).await?.compat();
        stream.write_all(b"from a stream of futures-io").await?;
        stream.shutdown().await?;
        let text = receiver.recv().await;
        server.await??;
        tokio::time::sleep(Duration::from_millis(1)).await;
        let waited = tokio::time::timeout(Duration::from_millis(1), std::future::pending::<()>()).await;
        assert!(waited.is_err());
        let blocking = tokio::task::spawn_blocking(|| 6 * 7).await?;
        io::Result::Ok((text, blocking))
    });
    let (text, blocking) = executor.block_on(task).unwrap().unwrap();
    assert_eq!((text.as_deref(), blocking), (Some("from a stream of futures-io"), 42));
}
