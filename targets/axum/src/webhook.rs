//! Takes events by POST.

use crate::event::{Acknowledgement, acknowledge};
use axum::Json;
use axum::body::Bytes;
use axum::http::StatusCode;

pub async fn webhook(body: Bytes) -> Result<Json<Acknowledgement>, (StatusCode, String)> {
    acknowledge(&body).map(Json).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}
