//! A router of axum behind `axum::serve`, which stops gracefully.

use std::io;
use std::time::Duration;

use axum::{Router, extract::Path, routing::get};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;

async fn hello(Path(name): Path<String>) -> String {
    format!("hello {name}\n")
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let router = Router::new().route("/hello/{name}", get(hello));
    let server = axum::serve(listener, router).with_graceful_shutdown(async { _ = stopped.await });
    let mut server = tokio::spawn(server.into_future());

    let mut client = TcpStream::connect(address).await?;
    client.write_all(b"GET /hello/axum HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    client.read_to_string(&mut answer).await?;
    println!("{}", answer.lines().last().unwrap_or_default());
    _ = stop.send(());
    match timeout(Duration::from_secs(5), &mut server).await {
        Ok(end) => end??,
        Err(_) => server.abort(),
    }
    println!("stopped");
    Ok(())
}
