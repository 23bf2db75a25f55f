//! Chromium, driven as a person would: what is awaited is awaited, and what does not come is told
//! beside what is there instead.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bsession::{Secret, Sessions};
use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::common::capabilities::chromium::ChromiumLikeCapabilities;
use thirtyfour::error::WebDriverErrorInner;
use thirtyfour::prelude::*;
use thirtyfour::{Cookie, WindowHandle};

use crate::leash::Leash;

const CHROMIUM: &str = "/usr/bin/chromium";
const DRIVER: &str = "chromedriver";

/// How long anything may take that takes a moment.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often it is looked whether it has come.
const PACE: Duration = Duration::from_millis(10);

/// That it works as root and in a container, and speaks to nobody but this machine. When the pipe to
/// its driver ends, it ends.
const FLAGS: [&str; 11] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--remote-debugging-pipe",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
];

/// Whether tests can start a browser; says so if not, and CI has to have one.
pub(crate) fn is_there() -> bool {
    let driver = Command::new(DRIVER)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let is_there = driver.is_ok_and(|status| status.success()) && Path::new(CHROMIUM).exists();
    if !is_there {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI has to have chromium and chromedriver"
        );
        // Past what keeps the output of tests that pass.
        let text =
            "SKIPPED: there is no chromium, or no chromedriver, which Debian has as packages\n";
        let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
    }
    is_there
}

/// What starts browsers.
pub(crate) struct Driver {
    _process: Leash,
    port: u16,
}

impl Driver {
    pub(crate) fn start() -> Self {
        let (process, port) = Leash::start(Path::new("/"), DRIVER, &["--port=0"], |line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        Self {
            _process: process,
            port,
        }
    }

    /// A browser with a profile of its own, as another person would have it.
    pub(crate) async fn browser(&self) -> Browser {
        let profile = tempfile::tempdir().expect("a directory");
        let mut wanted = DesiredCapabilities::chrome();
        let profile_is = format!("--user-data-dir={}", profile.path().display());
        for flag in FLAGS.into_iter().chain([&*profile_is]) {
            wanted.add_arg(flag).expect("a flag");
        }
        wanted.set_binary(CHROMIUM).expect("a path");
        let driver = WebDriver::new(format!("http://127.0.0.1:{}", self.port), wanted).await;
        Browser {
            driver: driver.unwrap_or_else(|error| panic!("chromium does not start: {error}")),
            _profile: profile,
        }
    }
}

/// A browser, looking at one of its tabs. It ends with this.
pub(crate) struct Browser {
    driver: WebDriver,
    _profile: TempDir,
}

impl Browser {
    pub(crate) async fn open(&self, url: &str) {
        done(self.driver.goto(url), url).await;
    }

    pub(crate) async fn reload(&self) {
        done(self.driver.refresh(), "reload").await;
    }

    pub(crate) async fn back(&self) {
        done(self.driver.back(), "back").await;
    }

    /// Another tab, which it then looks at.
    pub(crate) async fn new_tab(&self) -> WindowHandle {
        let tab = done(self.driver.new_tab(), "a new tab").await;
        self.look_at(&tab).await;
        tab
    }

    pub(crate) async fn tab(&self) -> WindowHandle {
        done(self.driver.window(), "this tab").await
    }

    pub(crate) async fn tabs(&self) -> Vec<WindowHandle> {
        done(self.driver.windows(), "the tabs").await
    }

    pub(crate) async fn look_at(&self, tab: &WindowHandle) {
        done(self.driver.switch_to_window(tab.clone()), "a tab").await;
    }

    /// Types into the field that has this label.
    pub(crate) async fn fill(&self, label: &str, text: &str) {
        let field = self.labelled(label).await;
        done(field.clear(), label).await;
        done(field.send_keys(text), label).await;
    }

    async fn labelled(&self, label: &str) -> WebElement {
        let path = format!("//*[@id = //label[normalize-space() = '{label}']/@for]");
        self.one(By::XPath(path), label).await
    }

    pub(crate) async fn button(&self, name: &str) -> WebElement {
        let path = format!("//button[normalize-space() = '{name}']");
        self.one(By::XPath(path), name).await
    }

    async fn one(&self, by: By, what: &str) -> WebElement {
        let query = self.driver.query(by).wait(PATIENCE, PACE);
        done(query.single(), what).await
    }

    /// Presses a button of a page that stays.
    pub(crate) async fn click(&self, name: &str) {
        let button = self.button(name).await;
        done(button.click(), name).await;
    }

    /// Presses a button and waits until its page has made room for another one.
    pub(crate) async fn press(&self, name: &str) {
        let button = self.button(name).await;
        done(button.click(), name).await;
        self.has_left(&button).await;
    }

    /// Follows a link, as [`press`](Self::press) presses a button.
    pub(crate) async fn follow(&self, text: &str) {
        let link = self.one(By::LinkText(text), text).await;
        done(link.click(), text).await;
        self.has_left(&link).await;
    }

    pub(crate) async fn double_click(&self, name: &str) {
        let button = self.button(name).await;
        let chain = self.driver.action_chain().double_click_element(&button);
        done(chain.perform(), name).await;
    }

    async fn has_left(&self, element: &WebElement) {
        let left = element.wait_until().wait(PATIENCE, PACE).stale();
        done(left, "the next page").await;
    }

    /// All that can be read on the page.
    pub(crate) async fn text(&self) -> String {
        let text = self.script("return document.body?.innerText ?? ''").await;
        text.as_str().expect("a text").replace('\u{a0}', " ")
    }

    /// Waits until the page says something.
    pub(crate) async fn shows(&self, text: &str) {
        self.until(&format!("«{text}»"), async || {
            self.text().await.contains(text)
        })
        .await;
    }

    /// Waits until something is so.
    pub(crate) async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_so().await {
            if Instant::now() > end {
                let text = self.text().await;
                let url = self.driver.current_url().await;
                let url = url.map_or_else(|error| error.to_string(), |url| url.to_string());
                panic!("{what} did not come: at {url} there is\n{text}");
            }
            tokio::time::sleep(PACE).await;
        }
    }

    /// What can be read in the only frame of the page.
    pub(crate) async fn framed_text(&self) -> String {
        done(self.driver.enter_frame(0), "the frame").await;
        self.text().await
    }

    /// The text of every element that fits.
    pub(crate) async fn all(&self, css: &str) -> Vec<String> {
        let texts = "return [...document.querySelectorAll(arguments[0])].map(e => e.innerText)";
        let texts = self.driver.execute(texts, vec![json!(css)]);
        done(async { texts.await?.convert() }, css).await
    }

    pub(crate) async fn script(&self, script: &str) -> Value {
        // While a page goes there may be none to ask.
        let mut result = self.driver.execute(script, Vec::new()).await;
        let end = Instant::now() + PATIENCE;
        while matches!(&result, Err(error) if is_between_pages(error)) && Instant::now() < end {
            tokio::time::sleep(PACE).await;
            result = self.driver.execute(script, Vec::new()).await;
        }
        done(async { Ok(result?.json().clone()) }, script).await
    }

    /// The session's cookie as the browser keeps it.
    pub(crate) async fn cookie(&self) -> Option<Cookie> {
        let cookies = done(self.driver.get_all_cookies(), "the cookies").await;
        let name = cookie_name();
        cookies.into_iter().find(|cookie| cookie.name == name)
    }
}

/// The default name, as the guest book has it in this build.
fn cookie_name() -> String {
    let secret = Secret::random().expect("a secret");
    let sessions = Sessions::builder(secret).build().expect("a service");
    sessions.cookie_name().to_owned()
}

fn is_between_pages(error: &WebDriverError) -> bool {
    matches!(
        error.as_inner(),
        WebDriverErrorInner::JavascriptError(_) | WebDriverErrorInner::StaleElementReference(_)
    )
}

async fn done<T>(step: impl Future<Output = WebDriverResult<T>>, what: &str) -> T {
    step.await.unwrap_or_else(|error| panic!("{what}: {error}"))
}
