//! `/api/matter`: what is paired, and whether more can be.
//!
//! Who pairs the dimmer controls its lights for ever, so pairing is only for clients of the LAN, also where a proxy
//! makes the page known to the world.

use axum::extract::{Extension, FromRequestParts, Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use qrcode::{Color, QrCode};

use crate::model::matter::{Matter, MatterError, PairingCommand, Window};
use crate::platform::host::is_on_lan;
use crate::protocol::matter_resource::MatterResource;
use crate::web::listener::Peer;
use crate::web::response::error;
use crate::web::state::AppState;

/// What a proxy adds to a request.
const FORWARDED: [&str; 3] = ["forwarded", "x-forwarded-for", "via"];

const SVG: &str = "image/svg+xml";

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/api/matter", get(show))
        .route("/api/matter/open", post(open))
        .route("/api/matter/close", post(close))
        .route("/api/matter/reset", post(reset))
        .route("/api/matter/fabrics/{index}", delete(remove))
        .route("/api/matter/qr.svg", get(picture))
}

/// Whether a request is from the LAN, without a proxy.
fn may_pair(peer: &Peer, headers: &HeaderMap) -> bool {
    let is_forwarded = FORWARDED.iter().any(|name| headers.contains_key(*name));
    !is_forwarded && is_on_lan(peer.address())
}

async fn show(
    State(app): State<AppState>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    match &app.matter {
        None => Json(MatterResource::off()).into_response(),
        Some(matter) => describe(matter, may_pair(&peer, &headers)),
    }
}

fn describe(matter: &Matter, may_pair: bool) -> Response {
    Json(MatterResource::of(&matter.state(), may_pair)).into_response()
}

/// Matter, for a request that may pair.
struct ForPairing(Matter);

impl FromRequestParts<AppState> for ForPairing {
    type Rejection = MatterError;

    async fn from_request_parts(
        parts: &mut Parts,
        app: &AppState,
    ) -> Result<ForPairing, MatterError> {
        let matter = app.matter.clone().ok_or(MatterError::Off)?;
        let peer = parts.extensions.get::<Peer>();
        match peer.is_some_and(|peer| may_pair(peer, &parts.headers)) {
            true => Ok(ForPairing(matter)),
            false => Err(MatterError::NotOnLan),
        }
    }
}

impl ForPairing {
    async fn execute(self, command: PairingCommand) -> Result<Response, MatterError> {
        self.0.ask(command).await?;
        Ok(describe(&self.0, true))
    }
}

async fn open(matter: ForPairing) -> Result<Response, MatterError> {
    matter.execute(PairingCommand::Open).await
}

async fn close(matter: ForPairing) -> Result<Response, MatterError> {
    matter.execute(PairingCommand::Close).await
}

async fn reset(matter: ForPairing) -> Result<Response, MatterError> {
    matter.execute(PairingCommand::Reset).await
}

async fn remove(matter: ForPairing, Path(index): Path<String>) -> Result<Response, MatterError> {
    match index.parse() {
        Ok(index) => matter.execute(PairingCommand::Remove(index)).await,
        Err(_) => {
            let message = format!("index must be from 1 to 254, not {index:?}");
            Ok(error(StatusCode::NOT_FOUND, message))
        }
    }
}

/// The QR code, while it can be used.
async fn picture(ForPairing(matter): ForPairing) -> Result<Response, MatterError> {
    match matter.state().window {
        Window::Open { codes, .. } => Ok(([(CONTENT_TYPE, SVG)], svg(&codes.qr)).into_response()),
        Window::Closed | Window::OpenByController => Err(MatterError::Closed),
    }
}

/// A QR code as a picture, black on white with the margin that scanners need: four modules.
fn svg(text: &str) -> String {
    let Ok(code) = QrCode::new(text) else {
        return String::new();
    };
    let (width, size) = (code.width(), code.width() + 8);
    let dark = code.to_colors().into_iter().enumerate();
    let dark = dark.filter(|(_, color)| *color == Color::Dark);
    let path: String = dark
        .map(|(index, _)| format!("M{} {}h1v1h-1z", index % width + 4, index / width + 4))
        .collect();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {size} {size}\" shape-rendering=\"crispEdges\">\
         <path fill=\"#fff\" d=\"M0 0h{size}v{size}H0z\"/><path d=\"{path}\"/></svg>"
    )
}
