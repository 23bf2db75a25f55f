//! The pages of the guest book: only HTML.

use std::fmt::{self, Write};
use std::time::SystemTime;

use actix_web::http::header::HttpDate;
use actix_web::web::Html;
use bsession::{Flash, Handle, LocalPath, SessionInfo};

use crate::{Entry, LONGEST_NAME, LONGEST_TEXT};

/// Text that is escaped, so that nothing in it is read as HTML.
struct Text<'t>(&'t str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            other => f.write_char(other),
        })
    }
}

pub(crate) fn page(title: &str, flashes: &[Flash], content: &str) -> Html {
    let notice = |flash: &Flash| {
        let (level, text) = (flash.level, Text(&flash.text));
        format!("<p class=\"notice {level}\" role=\"status\">{text}</p>\n")
    };
    let notices: String = flashes.iter().map(notice).collect();
    Html::new(format!(
        include_str!("page.html"),
        title = Text(title),
        notices = notices,
        content = content,
    ))
}

// The fields of the next two pages say `autocomplete="off"`. Without it, the back button brings back the typed text,
// also for the next user of a shared computer.

pub(crate) fn guest(visits: u64, next: &LocalPath, token: &str) -> String {
    format!(
        include_str!("guest.html"),
        visits = times(visits),
        longest = LONGEST_NAME,
        next = Text(next.as_str()),
        token = token,
    )
}

pub(crate) fn member(name: &str, visits: u64, entries: &[Entry], token: &str) -> String {
    let mut list: String = entries.iter().map(entry).collect();
    if list.is_empty() {
        list = "<li class=\"hint\">Nothing here yet.</li>\n".to_owned();
    }
    format!(
        include_str!("member.html"),
        name = Text(name),
        visits = times(visits),
        longest = LONGEST_TEXT,
        entries = list,
        token = token,
    )
}

fn entry(entry: &Entry) -> String {
    format!(
        "<li><p>{}</p><small>{}</small></li>\n",
        Text(&entry.text),
        HttpDate::from(entry.written),
    )
}

pub(crate) fn devices(devices: &[SessionInfo], this: Option<Handle>, token: &str) -> String {
    let list: String = devices
        .iter()
        .map(|device| {
            let name = name_of(device.note.as_deref().unwrap_or_default());
            if this == Some(device.handle) {
                return format!(
                    "<li class=\"row\"><span>{name}<br><small>this device</small></span></li>\n"
                );
            }
            format!(
                include_str!("device.html"),
                name = name,
                seen = since(device.seen),
                handle = device.handle,
                token = token,
            )
        })
        .collect();
    let others = if devices.len() > 1 {
        format!(include_str!("logout_others.html"), token = token)
    } else {
        String::new()
    };
    format!(
        include_str!("devices.html"),
        devices = list,
        others = others,
    )
}

/// Returns the familiar name of a browser, from its `User-Agent` header.
fn name_of(agent: &str) -> String {
    let one_of = |names: &[(&str, &'static str)], otherwise| {
        let mut names = names.iter();
        let found = names.find(|(word, _)| agent.contains(word));
        found.map_or(otherwise, |(_, name)| *name)
    };
    // The first match wins, so the order matters: browsers also name the other browsers that they want to be taken
    // for.
    let browsers = [
        ("Edg", "Edge"),
        ("Firefox", "Firefox"),
        ("Chrom", "Chrome"),
        ("Safari", "Safari"),
    ];
    let systems = [
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "Mac"),
        ("Linux", "Linux"),
    ];
    match (one_of(&browsers, "A browser"), one_of(&systems, "")) {
        (browser, "") => browser.to_owned(),
        (browser, system) => format!("{browser} on {system}"),
    }
}

fn since(moment: SystemTime) -> String {
    let minutes = moment.elapsed().unwrap_or_default().as_secs() / 60;
    match minutes {
        0..2 => "seen a moment ago".to_owned(),
        2..120 => format!("seen {minutes} minutes ago"),
        120..2880 => format!("seen {} hours ago", minutes / 60),
        _ => format!("seen {} days ago", minutes / 60 / 24),
    }
}

fn times(count: u64) -> String {
    match count {
        1 => "for the first time".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{count}&nbsp;times"),
    }
}
