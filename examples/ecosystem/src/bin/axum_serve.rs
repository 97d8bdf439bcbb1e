//! A router of axum behind `axum::serve`, with a graceful end.

use std::error::Error;

use axum::{Router, extract::Path, routing::get};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

async fn hello(Path(name): Path<String>) -> String {
    format!("hello {name}\n")
}

#[polyexec::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    polyexec::tokio::context()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let router = Router::new().route("/hello/{name}", get(hello));
    let server = axum::serve(listener, router).with_graceful_shutdown(async { _ = stopped.await });
    let server = polyexec::spawn(server.into_future());

    let mut client = TcpStream::connect(address).await?;
    client.write_all(b"GET /hello/axum HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    client.read_to_string(&mut answer).await?;
    println!("{}", answer.lines().last().unwrap_or_default());
    _ = stop.send(());
    server.await??;
    println!("stopped");
    Ok(())
}
