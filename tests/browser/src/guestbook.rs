//! The guest book, as its example is, in a process and a directory of its own.

use tempfile::TempDir;

use crate::leash::Leash;

pub(crate) struct Guestbook {
    process: Option<Leash>,
    port: u16,
    dir: TempDir,
}

impl Guestbook {
    pub(crate) fn open() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let (process, port) = serve(&dir, 0);
        Self {
            process: Some(process),
            port,
            dir,
        }
    }

    /// Kills it and starts it again at the same place.
    pub(crate) fn restart(&mut self) {
        self.process = None;
        self.process = Some(serve(&self.dir, self.port).0);
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

fn serve(dir: &TempDir, port: u16) -> (Leash, u16) {
    let program = env!("CARGO_BIN_EXE_guestbook");
    Leash::start(
        dir.path(),
        program,
        &[&format!("127.0.0.1:{port}")],
        |line| {
            let (_, rest) = line.split_once("http://127.0.0.1:")?;
            rest.split(' ').next()?.parse().ok()
        },
    )
}
