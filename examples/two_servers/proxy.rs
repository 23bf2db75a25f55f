//! A minimal proxy: it forwards each connection to the next server that is up.

use std::io;

use tokio::net::{TcpListener, TcpStream};

/// Accepts connections for as long as it is polled.
pub(crate) async fn run(at: (&str, u16), servers: [u16; 2]) -> io::Result<()> {
    let listener = TcpListener::bind(at).await?;
    let mut next = 0;
    loop {
        let (client, _) = listener.accept().await?;
        next = (next + 1) % servers.len();
        let order = [servers[next], servers[(next + 1) % servers.len()]];
        actix_web::rt::spawn(forward(client, order));
    }
}

/// Forwards a connection to the first of the servers that accepts it.
async fn forward(mut client: TcpStream, servers: [u16; 2]) -> io::Result<()> {
    for port in servers {
        if let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await {
            tokio::io::copy_bidirectional(&mut client, &mut server).await?;
            return Ok(());
        }
    }
    Ok(())
}
