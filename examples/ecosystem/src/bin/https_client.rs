//! reqwest over TLS: requests in tasks, to a server in another task.

use std::error::Error;

use polyexec_ecosystem::https;
use tokio::net::TcpListener;

#[polyexec::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    polyexec::tokio::context()?;
    let (server, trust) = https::configs()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let server = polyexec::spawn(https::answer(listener, server, 3));

    let client = reqwest::Client::builder().tls_backend_preconfigured(trust).build()?;
    let requests = ["one", "two", "three"].map(|path| {
        let request = client.get(format!("https://localhost:{port}/{path}"));
        polyexec::spawn(async move { request.send().await?.text().await })
    });
    for request in requests {
        println!("{}", request.await??);
    }
    server.await??;
    Ok(())
}
