// Takes events by webhook, one connection at a time. `server PORT WORK`: it adds up WORK numbers for each event.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char request[1 << 16];

// The bytes of the next request's head and body; 0 at the end of the connection.
static size_t next(int socket) {
    size_t have = 0;
    for (;;) {
        ssize_t got = read(socket, request + have, sizeof request - 1 - have);
        if (got <= 0) return 0;
        have += got;
        request[have] = 0;
        char *body = strstr(request, "\r\n\r\n"), *length = strcasestr(request, "content-length:");
        if (body && length && have >= (size_t)(body + 4 - request) + atoi(length + 15)) return have;
    }
}

int main(int count, char **words) {
    if (count != 3) return 64;
    long work = atol(words[2]);
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(words[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 16)) {
        perror("server");
        return 1;
    }
    for (;;) {
        int socket = accept(listener, 0, 0);
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        while (next(socket)) {
            volatile long sum = 0;
            for (long i = 0; i < work; i++) sum += i;
            char id[64] = "", body[128], answer[256], *at = strstr(request, "\"id\":\"");
            if (at) sscanf(at + 6, "%60[^\"]", id);
            int length = snprintf(body, sizeof body, "{\"id\":\"%s\"}", id);
            length = snprintf(answer, sizeof answer,
                              "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                              length, body);
            if (write(socket, answer, length) < 0) break;
        }
        close(socket);
    }
}
