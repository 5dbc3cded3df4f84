use super::*;
use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};

const LONGEST: usize = 200_000;

/// Paths and bodies.
type Taken = Vec<(String, Vec<u8>)>;

/// Takes every request, answers 204 and gives what was posted.
async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin) -> (Taken, io::Result<()>) {
    let mut receiver = RequestReceiver::new(stream, ReceiverContext::new(LONGEST));
    let mut taken = vec![];
    loop {
        match receiver.next(|request| (request.path.to_owned(), request.body.to_vec())).await {
            Ok(Some(request)) => taken.push(request),
            Ok(None) => return (taken, Ok(())),
            Err(e) => return (taken, Err(e)),
        }
        assert_eq!(
            receiver.buffered.capacity() == 0,
            receiver.buffered.is_empty(),
            "an idle one holds no buffer"
        );
        if let Err(e) = receiver.answer(StatusCode::NO_CONTENT, "").await {
            return (taken, Err(e));
        }
    }
}

/// Writes these pieces, each once the last one was read, and gives what was answered.
fn talk(pieces: &[&[u8]]) -> (Taken, io::Result<()>, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (mut ours, hyper_response) = duplex(LONGEST * 4);
        let client = async move {
            for piece in pieces {
                if ours.write_all(piece).await.is_err() {
                    break;
                }
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
            }
            let _may_be_closed = ours.shutdown().await;
            let mut answers = String::new();
            ours.read_to_string(&mut answers).await.unwrap();
            answers
        };
        let ((taken, ended), answers) = tokio::join!(serve(hyper_response), client);
        (taken, ended, answers)
    })
}

/// As a stream of TLS: its end without `close_notify` is an error.
struct WithoutCloseNotify(DuplexStream);

impl AsyncRead for WithoutCloseNotify {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.0).poll_read(cx, buf))?;
        Poll::Ready(match buf.filled().len() == before {
            true => Err(io::ErrorKind::UnexpectedEof.into()),
            false => Ok(()),
        })
    }
}

impl AsyncWrite for WithoutCloseNotify {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[test]
fn tls_may_end_without_close_notify_behind_a_request_and_not_amid_one() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let text = post("/1", b"abc");
    let ended = |bytes: &[u8]| {
        runtime.block_on(async {
            let (mut ours, theirs) = duplex(LONGEST);
            ours.write_all(bytes).await.unwrap();
            ours.shutdown().await.unwrap();
            serve(WithoutCloseNotify(theirs)).await
        })
    };
    let (taken, end) = ended(&text);
    assert!(taken.len() == 1 && end.is_ok(), "{end:?}");
    let (taken, end) = ended(&text[..text.len() - 1]);
    assert!(taken.is_empty());
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn statuses(answers: &str) -> Vec<&str> {
    answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect()
}

#[test]
fn two_requests_are_taken_wherever_they_are_cut() {
    let both = [post("/1", b"first"), post("/2", b"second")].concat();
    let wanted = vec![("/1".to_owned(), b"first".to_vec()), ("/2".to_owned(), b"second".to_vec())];
    for cut in 0..=both.len() {
        let (begin, end) = both.split_at(cut);
        let (taken, ended, answers) = talk(&[begin, end]);
        assert_eq!(taken, wanted, "cut at {cut}");
        assert!(ended.is_ok() && statuses(&answers) == ["204", "204"], "cut at {cut}: {answers}");
    }
    let bytes: Vec<&[u8]> = both.chunks(1).collect();
    assert_eq!(talk(&bytes).0, wanted);
}

#[test]
fn a_body_may_be_longer_than_what_is_read_at_once() {
    let body = vec![b'x'; LONGEST];
    let text = [post("/1", &body), post("/2", b"")].concat();
    let (taken, ended, _) = talk(&[&text]);
    assert!(ended.is_ok());
    assert_eq!(taken, [("/1".to_owned(), body), ("/2".to_owned(), vec![])]);
}

#[test]
fn one_who_waits_is_told_once_to_go_on() {
    let head = b"POST /1 HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n";
    let (taken, ended, answers) = talk(&[head, b"a", b"b", &post("/2", b"c")]);
    assert!(ended.is_ok());
    assert_eq!(taken.len(), 2);
    assert_eq!(statuses(&answers), ["100", "204", "204"]);
}

#[test]
fn the_connection_ends_behind_the_answer_to_one_who_closes() {
    let text = b"POST /1 HTTP/1.1\r\nconnection: close\r\n\r\nPOST /2 HTTP/1.1\r\n\r\n";
    let (taken, ended, answers) = talk(&[text]);
    assert!(ended.is_ok());
    assert_eq!(taken, [("/1".to_owned(), vec![])]);
    assert!(statuses(&answers) == ["204"] && answers.contains("connection: close"), "{answers}");
}

#[test]
fn what_cannot_be_read_is_answered_and_ends_the_connection() {
    let (taken, ended, answers) = talk(&[&post("/1", b"a"), b"\0\0\0\0", &post("/2", b"b")]);
    assert_eq!((taken.len(), statuses(&answers)), (1, vec!["204", "400"]));
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::InvalidData);
    let (taken, _, answers) = talk(&[&post("/1", &vec![0; LONGEST + 1])]);
    assert_eq!((taken.len(), statuses(&answers)), (0, vec!["413"]));
}

#[test]
fn a_request_that_ends_amid_is_told_apart_from_an_end() {
    let text = post("/1", b"abc");
    assert!(talk(&[]).1.is_ok());
    for cut in 1..text.len() {
        let (taken, ended, _) = talk(&[&text[..cut]]);
        assert!(taken.is_empty(), "cut at {cut}");
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "cut at {cut}");
    }
}

#[test]
fn a_response_says_when_and_that_it_has_no_body() {
    let receiver_context = ReceiverContext::new(LONGEST);
    let response = receiver_context.response(StatusCode::NO_CONTENT, false, "");
    let date = response.strip_prefix("HTTP/1.1 204 No Content\r\ndate: ").unwrap();
    assert!(httpdate::parse_http_date(date.trim_end()).is_ok(), "{response}");
    assert!(!response.contains("content-length"), "a 204 has none");
    let response = receiver_context.response(StatusCode::NOT_FOUND, true, "");
    assert!(response.ends_with("content-length: 0\r\nconnection: close\r\n\r\n"), "{response}");
}

#[test]
fn whatever_comes_is_let_pass_until_the_end() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (mut ours, hyper_response) = duplex(16);
        let mut receiver = RequestReceiver::new(hyper_response, ReceiverContext::new(LONGEST));
        let client = async move {
            ours.write_all(&post("/1", &[0; 1000])).await.unwrap();
        };
        tokio::join!(receiver.until_end(), client);
    });
}
