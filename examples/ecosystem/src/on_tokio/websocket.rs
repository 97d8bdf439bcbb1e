//! async-tungstenite: an echo over a WebSocket.

use std::error::Error;

use async_tungstenite::tokio::{accept_async, client_async};
use futures_lite::StreamExt;
use tokio::net::{TcpListener, TcpStream};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        let mut socket = accept_async(stream).await?;
        while let Some(message) = socket.next().await.transpose()? {
            if message.is_text() {
                socket.send(message).await?;
            }
        }
        Ok::<_, Box<dyn Error + Send + Sync>>(())
    });

    let stream = TcpStream::connect(address).await?;
    let (mut socket, response) = client_async(format!("ws://{address}/"), stream).await?;
    println!("{}", response.status());
    for text in ["one", "trait"] {
        socket.send(text.into()).await?;
        println!("{}", socket.next().await.ok_or("no answer")??);
    }
    socket.close(None).await?;
    while socket.next().await.is_some() {}
    server.await??;
    Ok(())
}
