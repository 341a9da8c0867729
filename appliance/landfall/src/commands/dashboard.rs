//! `landfall dashboard`: a page on this machine, drawn from what the appliance tells.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use control::api::{Request, StatusShow};
use control::http::{Page, Site};
use control::{ApiError, Ask, Caller, Code, ErrorReply, Reply};
use rustix::rand::{GetRandomFlags, getrandom};
use serde::Serialize;

use super::Context;
use crate::reach::Reach;
use crate::screen::Ending;

const SCRIPT: &str = "text/javascript; charset=utf-8";
const PAGES: &[Page] = &[
    Page { path: "/", kind: "text/html; charset=utf-8", text: include_str!("../dashboard/index.html") },
    Page {
        path: "/style.css",
        kind: "text/css; charset=utf-8",
        text: include_str!("../dashboard/style.css"),
    },
    Page { path: "/icon.svg", kind: "image/svg+xml", text: include_str!("../dashboard/icon.svg") },
    Page { path: "/main.js", kind: SCRIPT, text: include_str!("../dashboard/main.js") },
    Page { path: "/words.js", kind: SCRIPT, text: include_str!("../dashboard/words.js") },
    Page { path: "/charts.js", kind: SCRIPT, text: include_str!("../dashboard/charts.js") },
    Page { path: "/machines.js", kind: SCRIPT, text: include_str!("../dashboard/machines.js") },
    Page { path: "/rail.js", kind: SCRIPT, text: include_str!("../dashboard/rail.js") },
];

/// Where the page is, for programs.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Note<'a> {
    Serving { url: &'a str },
}

/// Serves the page until interrupted.
pub(super) fn serve(context: &Context<'_>, port: u16) -> Result<Ending, ErrorReply> {
    // A page that could show nothing is not begun.
    context.ask(StatusShow {})?;
    let failed = |cause: std::io::Error| {
        let error =
            ApiError::new(Code::DashboardListen, format!("the dashboard can't be served on port {port}"));
        ErrorReply::from(error.because(cause))
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(failed)?;
    let (port, key) = (listener.local_addr().map_err(failed)?.port(), new_key().map_err(failed)?);
    let url = format!("http://127.0.0.1:{port}/?key={key}");
    if context.screen.is_json() {
        context.screen.json(&Note::Serving { url: &url })?;
    } else {
        context.screen.text(&format!(
            "the dashboard is at {url}\nonly whoever has this address sees it; Ctrl-C ends it\n"
        ))?;
    }
    let served = Site::serve(listener, Arc::new(Anew(context.reach.clone())), PAGES, key);
    served.map_err(failed).map(|never| match never {})
}

/// Asks over a connection of its own each time: a page that is open for days must outlive every one of them.
struct Anew(Reach);

impl Ask for Anew {
    fn ask(&self, _: &Caller, request: Request) -> Result<Reply, ErrorReply> {
        self.0.connect()?.ask_raw(request, &mut |_| {})
    }
}

fn new_key() -> Result<String, std::io::Error> {
    let mut bytes = [0_u8; 16];
    let count = getrandom(&mut bytes[..], GetRandomFlags::empty())?;
    assert!(count == bytes.len(), "the kernel gives so few bytes at once");
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
