//! What a session takes while nobody uses it.

use std::{fs, path::Path};

use tokio::task::JoinSet;

use crate::{
    Result,
    library::{Library, Route},
    load,
    server::Server,
};

/// Sessions made first, so that buffers have grown before the memory is looked at.
const WARM: usize = 1_000;

/// Bytes a session.
pub(crate) struct Stored {
    pub(crate) library: Library,
    /// By how much the resident set of the server has grown.
    pub(crate) resident: f64,
    /// Blocks of the files it has written.
    pub(crate) on_disk: f64,
    /// By how much its Redis has grown; `None` without one.
    pub(crate) in_redis: Option<f64>,
}

pub(crate) async fn measure(
    libraries: &[Library],
    sessions: usize,
    scratch: &Path,
) -> Result<Vec<Stored>> {
    let mut measured = Vec::new();
    for &library in libraries {
        eprintln!("memory of {}", library.name());
        let mut server = Server::start(library, Route::Read, scratch).await?;
        make(&server, WARM).await?;
        let before = (server.resident()?, allocated(server.dir())?);
        let redis_before = redis_memory(&mut server)?;
        let made = make(&server, sessions).await? as f64;
        let after = (server.resident()?, allocated(server.dir())?);
        let redis = redis_before.zip(redis_memory(&mut server)?);
        server.stop().await?;
        measured.push(Stored {
            library,
            resident: (after.0 as f64 - before.0 as f64) / made,
            on_disk: (after.1 as f64 - before.1 as f64) / made,
            in_redis: redis.map(|(before, after)| (after as f64 - before as f64) / made),
        });
    }
    Ok(measured)
}

/// At least so many sessions, by visitors who come each time without a cookie; how many they are.
async fn make(server: &Server, sessions: usize) -> Result<usize> {
    let each = sessions.div_ceil(load::CONNECTIONS);
    let mut tasks = JoinSet::new();
    for mut visitor in load::arrive(server.address, load::CONNECTIONS).await? {
        tasks.spawn(async move {
            // The arrival was the first.
            for _ in 1..each {
                visitor.begin().await?;
            }
            Ok::<_, std::io::Error>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(each.max(1) * load::CONNECTIONS)
}

fn redis_memory(server: &mut Server) -> Result<Option<u64>> {
    let redis = server.redis();
    redis.map(|redis| redis.memory("used_memory")).transpose()
}

/// What lies in a directory and below it, in bytes of the disk.
fn allocated(dir: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;

    const BLOCK: u64 = 512; // what st_blocks counts in
    let mut bytes = 0;
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            bytes += metadata.blocks() * BLOCK;
            if metadata.is_dir() {
                dirs.push(entry.path());
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::allocated;

    #[test]
    fn what_lies_deeper_is_on_the_disk_too() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(allocated(dir.path()).expect("it can be read"), 0);
        let deeper = dir.path().join("deeper");
        std::fs::create_dir(&deeper).expect("a directory");
        std::fs::write(deeper.join("file"), [1; 100_000]).expect("a file");
        assert!(allocated(dir.path()).expect("it can be read") >= 100_000);
    }
}
