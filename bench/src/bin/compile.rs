//! What the attribute costs in compile time.
//!
//! `cargo run --release --manifest-path bench/Cargo.toml --bin compile` writes applications of 1, 100 and
//! 1000 handlers with and without `#[session]`, builds each with dependencies that are built already, and prints
//! Markdown: seconds of the application alone, from nothing and after a change of one handler.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const HANDLERS: [usize; 3] = [1, 100, 1000];

/// The median is told.
const ROUNDS: usize = 3;

fn main() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let library = library.canonicalize()?;
    fs::create_dir(dir.path().join("src"))?;
    fs::write(dir.path().join("Cargo.toml"), manifest(&library))?;
    // The versions that were tested, and no need to ask a registry.
    fs::copy(library.join("Cargo.lock"), dir.path().join("Cargo.lock"))?;
    write(dir.path(), 1, true, 0)?;
    build(dir.path())?;

    println!("\nSeconds of `cargo build` (debug) for the application alone, median of {ROUNDS}.\n");
    println!(
        "| handlers | from nothing, bare | with `#[session]` | one changed, bare | with `#[session]` |"
    );
    println!("|---:|---:|---:|---:|---:|");
    for handlers in HANDLERS {
        let mut times: [Vec<Duration>; 4] = Default::default();
        for _ in 0..ROUNDS {
            for (place, session) in [(0, false), (1, true)] {
                clean(dir.path())?;
                write(dir.path(), handlers, session, 0)?;
                times[place].push(build(dir.path())?);
                write(dir.path(), handlers, session, 1)?;
                times[place + 2].push(build(dir.path())?);
            }
        }
        let medians = times.map(|mut times| {
            times.sort();
            format!("{:.2}", times[ROUNDS / 2].as_secs_f64())
        });
        println!("| {handlers} | {} |", medians.join(" | "));
    }
    Ok(())
}

fn manifest(library: &Path) -> String {
    let library = library.display();
    format!(
        "[workspace]\n[package]\nname = \"application\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[dependencies]\n\
         actix-web = {{ version = \"4\", default-features = false, features = [\"cookies\", \"macros\"] }}\n\
         bsession = {{ path = \"{library}\" }}\n"
    )
}

/// Handlers that read and write, each a little different from the next.
fn write(dir: &Path, handlers: usize, session: bool, edition: usize) -> Result<()> {
    let mut code = String::from("use actix_web::{App, HttpServer, Responder, get, web::Path};\n");
    for number in 0..handlers {
        let salt = if number == 0 { edition } else { number };
        code += &format!("#[get(\"/{number}/{{id}}\")]\n");
        code += &if session {
            format!(
                "#[bsession::session]\nasync fn handler_{number}(id: Path<u32>) -> impl Responder {{\n    \
                 session[\"seen\"] = (*id + {salt}).into();\n    format!(\"{{}} {{}}\", id, session[\"name\"])\n}}\n"
            )
        } else {
            format!(
                "async fn handler_{number}(id: Path<u32>) -> impl Responder {{\n    \
                 format!(\"{{}} {{}}\", id, *id + {salt})\n}}\n"
            )
        };
    }
    code += "#[actix_web::main]\nasync fn main() -> std::io::Result<()> {\n    HttpServer::new(|| App::new()";
    for number in 0..handlers {
        code += &format!("\n        .configure(|c| {{ c.service(handler_{number}); }})");
    }
    code += ").bind((\"127.0.0.1\", 0))?.run().await\n}\n";
    Ok(fs::write(dir.join("src/main.rs"), code)?)
}

fn clean(dir: &Path) -> Result<()> {
    cargo(dir, &["clean", "--quiet", "--offline", "-p", "application"])
}

fn build(dir: &Path) -> Result<Duration> {
    let begun = Instant::now();
    cargo(dir, &["build", "--quiet", "--offline"])?;
    Ok(begun.elapsed())
}

fn cargo(dir: &Path, args: &[&str]) -> Result<()> {
    let status = Command::new("cargo").args(args).current_dir(dir).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("cargo {} failed", args.join(" ")).into())
    }
}
