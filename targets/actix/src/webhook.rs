//! Receives events by POST.

use crate::event::acknowledge;
use actix_web::HttpResponse;
use actix_web::web::Bytes;

pub async fn webhook(body: Bytes) -> HttpResponse {
    match acknowledge(&body) {
        Ok(acknowledgement) => HttpResponse::Ok().json(acknowledgement),
        Err(error) => HttpResponse::BadRequest().body(error.to_string()),
    }
}
