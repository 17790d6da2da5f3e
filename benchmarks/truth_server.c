/* A paced SSE endpoint that writes down what it really did: one epoll thread, pre-rendered chunks.
 *
 *   truth_server PORT TTFT_MS INTERVAL_MS DELTAS PHASE TRUTH_FILE [CERTIFICATE KEY]
 *
 * With a certificate (PEM files; built with -DTLS -lssl -lcrypto) it speaks TLS.
 * PHASE in_phase: deltas of all streams leave on one common grid (as an engine with continuous batching sends them);
 * spread: each stream keeps its own phase. Each delta is one chunked frame of about 210 bytes, one send, TCP_NODELAY.
 * Truth line per request (CLOCK_MONOTONIC ns): arrived_ns is the kernel's stamp of the read that brought the last
 * request byte; delta_ns[] are taken just before each send, after its encryption. On SIGTERM one summary line goes to stderr: deltas sent
 * and how late they left (mean, p99, max), so that a benchmark knows how good its own truth was.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
static SSL_CTX *tls;
#endif

#define MAX_FD 65536
#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"

typedef int64_t ns_t;

struct conn {
    int fd, used, body_at, body_len, sent, heap_at;
    unsigned gen;
    ns_t due, arrived;
    ns_t *stamps;
    char id[80];
    char in[65536];
#ifdef TLS
    SSL *ssl;
#endif
};

static struct conn *conns[MAX_FD];
static struct conn *heap[MAX_FD];
static int heap_n, deltas, in_phase, grid_ready;
static ns_t ttft, interval, grid;
static FILE *truth;
static volatile sig_atomic_t stop_now;
static uint64_t late_hist[100001], sent_total; /* 1 us bins up to 100 ms */
static ns_t late_sum, late_max;
static char first_frame[1024], mid_frame[512], last_frame[1024];
static int first_len, mid_len, last_len;

static ns_t clock_ns(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (ns_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int chunked(char *out, const char *data) {
    return sprintf(out, "%zx\r\n%s\r\n", strlen(data), data);
}

static void render(void) {
    const char *head = "{\"id\":\"chatcmpl-0123456789abcdef\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,"
                       "\"model\":\"truth\",\"choices\":[{\"index\":0,\"delta\":{%s},\"logprobs\":null,\"finish_reason\":%s}]}";
    char role[400], word[400], end[400], data[1024];
    sprintf(role, head, "\"role\":\"assistant\",\"content\":\"\"", "null");
    sprintf(word, head, "\"content\":\" word\"", "null");
    sprintf(end, head, "", "\"stop\"");
    sprintf(data, "data: %s\n\ndata: %s\n\n", role, word);
    first_len = chunked(first_frame, data);
    sprintf(data, "data: %s\n\n", word);
    mid_len = chunked(mid_frame, data);
    sprintf(data,
            "data: %s\n\ndata: {\"id\":\"chatcmpl-0123456789abcdef\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,"
            "\"model\":\"truth\",\"choices\":[],\"usage\":{\"prompt_tokens\":50,\"completion_tokens\":%d,\"total_tokens\":%d}}\n\n"
            "data: [DONE]\n\n",
            end, deltas, deltas + 50);
    last_len = chunked(last_frame, data);
    last_len += sprintf(last_frame + last_len, "0\r\n\r\n");
}

/* What goes over the wire for these bytes: with TLS their ciphertext, which lies in the connection until `put`. */
static void seal(struct conn *c, const char **data, int *len) {
    (void)c, (void)data, (void)len;
#ifdef TLS
    if (c->ssl) {
        if (*len) SSL_write(c->ssl, *data, *len);
        char *wire;
        *len = BIO_get_mem_data(SSL_get_wbio(c->ssl), &wire);
        *data = wire;
    }
#endif
}

static void put(struct conn *c, const char *wire, int len) {
    if (len) send(c->fd, wire, len, MSG_NOSIGNAL);
#ifdef TLS
    if (c->ssl) (void)BIO_reset(SSL_get_wbio(c->ssl));
#endif
}

static void say(struct conn *c, const char *data, int len) {
    seal(c, &data, &len);
    put(c, data, len);
}

static void swap(int a, int b) {
    struct conn *t = heap[a];
    heap[a] = heap[b];
    heap[b] = t;
    heap[a]->heap_at = a;
    heap[b]->heap_at = b;
}

static void sift(int at) {
    while (at && heap[at]->due < heap[(at - 1) / 2]->due) swap(at, (at - 1) / 2), at = (at - 1) / 2;
    for (;;) {
        int child = 2 * at + 1;
        if (child >= heap_n) return;
        if (child + 1 < heap_n && heap[child + 1]->due < heap[child]->due) child++;
        if (heap[at]->due <= heap[child]->due) return;
        swap(at, child);
        at = child;
    }
}

static void plan(struct conn *c, ns_t due) {
    c->due = due;
    if (c->heap_at < 0) c->heap_at = heap_n, heap[heap_n++] = c;
    sift(c->heap_at);
}

static void unplan(struct conn *c) {
    int at = c->heap_at;
    if (at < 0) return;
    heap_n--;
    if (at != heap_n) {
        heap[at] = heap[heap_n];
        heap[at]->heap_at = at;
        sift(at);
    }
    c->heap_at = -1;
}

static void write_truth(struct conn *c, ns_t ended, int aborted) {
    int seen = c->sent;
    fprintf(truth, "{\"request_id\":\"%s\",\"arrived_ns\":%lld,\"status\":200,\"delta_ns\":[", c->id, (long long)c->arrived);
    for (int i = 0; i < seen; i++) fprintf(truth, i ? ",%lld" : "%lld", (long long)c->stamps[i]);
    fprintf(truth, "],\"input_tokens\":50,\"cached_tokens\":0,\"reasoning_tokens\":0,\"output_tokens\":%d,\"ended_ns\":%lld,\"aborted\":%s}\n",
            seen, (long long)ended, aborted ? "true" : "false");
}

static void drop(struct conn *c) {
    if (c->heap_at >= 0) {
        unplan(c);
        write_truth(c, clock_ns(CLOCK_MONOTONIC), 1);
    }
#ifdef TLS
    SSL_free(c->ssl);
#endif
    close(c->fd);
    conns[c->fd] = NULL;
    free(c->stamps);
    free(c);
}

/* The request is complete: answer with headers at once, deltas on their grid. */
static void begin(struct conn *c, ns_t arrived) {
    char *id = strcasestr(c->in, "\nx-request-id:");
    c->id[0] = 0;
    if (id) sscanf(id + 14, " %79[^\r\n]", c->id);
    c->arrived = arrived;
    c->sent = 0;
    c->used = 0;
    say(c, HEAD, sizeof HEAD - 1);
    ns_t due = arrived + ttft;
    if (in_phase) { /* the next point of the common grid at or after ttft */
        if (!grid_ready) grid = due, grid_ready = 1;
        due = grid + (due - grid + interval - 1) / interval * interval;
    }
    plan(c, due);
}

#ifdef TLS
/* Bytes from the wire become bytes of the request, in place; their number, 0 while the handshake goes on. */
static int decrypted(struct conn *c, ssize_t got) {
    BIO_write(SSL_get_rbio(c->ssl), c->in + c->used, got);
    if (!SSL_is_init_finished(c->ssl)) SSL_do_handshake(c->ssl);
    int all = 0, some;
    while ((some = SSL_read(c->ssl, c->in + c->used + all, sizeof c->in - c->used - all - 1)) > 0) all += some;
    ERR_clear_error();
    say(c, NULL, 0); /* what the handshake has to say */
    return all;
}

static SSL *tls_on(void) {
    SSL *ssl = SSL_new(tls);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(ssl);
    return ssl;
}
#endif

static void on_readable(struct conn *c, ns_t real_minus_mono) {
    char control[128];
    struct iovec iov = {c->in + c->used, sizeof c->in - c->used - 1};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t got = recvmsg(c->fd, &msg, 0);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) drop(c);
        return;
    }
    ns_t arrived = clock_ns(CLOCK_MONOTONIC);
    for (struct cmsghdr *m = CMSG_FIRSTHDR(&msg); m; m = CMSG_NXTHDR(&msg, m))
        if (m->cmsg_level == SOL_SOCKET && m->cmsg_type == SO_TIMESTAMPNS) {
            struct timespec t;
            memcpy(&t, CMSG_DATA(m), sizeof t);
            arrived = (ns_t)t.tv_sec * 1000000000 + t.tv_nsec - real_minus_mono;
        }
#ifdef TLS
    if (c->ssl && !(got = decrypted(c, got))) return;
#endif
    c->used += got;
    c->in[c->used] = 0;
    char *end = strstr(c->in, "\r\n\r\n");
    if (!end) return;
    char *length = strcasestr(c->in, "\ncontent-length:");
    int need = (int)(end + 4 - c->in) + (length ? atoi(length + 16) : 0);
    if (c->used >= need) begin(c, arrived);
}

static void send_delta(struct conn *c) {
    int last = c->sent + 1 == deltas, len = c->sent ? mid_len : first_len;
    const char *wire = c->sent ? mid_frame : first_frame;
    seal(c, &wire, &len);
    ns_t now = clock_ns(CLOCK_MONOTONIC), late = now - c->due;
    put(c, wire, len);
    c->stamps[c->sent++] = now;
    sent_total++;
    late_sum += late;
    if (late > late_max) late_max = late;
    late_hist[late / 1000 > 100000 ? 100000 : late / 1000]++;
    if (!last) {
        plan(c, c->due + interval);
        return;
    }
    say(c, last_frame, last_len);
    unplan(c);
    write_truth(c, clock_ns(CLOCK_MONOTONIC), 0);
}

static void accept_all(int listener, int epoll) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), one = 1;
        if (fd < 0) return;
        if (fd >= MAX_FD) { close(fd); continue; }
        struct conn *c = calloc(1, sizeof *c);
        c->fd = fd;
        c->heap_at = -1;
#ifdef TLS
        if (tls) c->ssl = tls_on();
#endif
        c->stamps = malloc(sizeof(ns_t) * deltas);
        conns[fd] = c;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);
        struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev);
    }
}

static void on_signal(int number) { (void)number; stop_now = 1; }

static void summary(void) {
    uint64_t seen = 0, want = sent_total - sent_total / 100;
    int p99 = 0;
    while (p99 < 100000 && (seen += late_hist[p99]) < want) p99++;
    fprintf(stderr, "{\"deltas\":%llu,\"late_us\":{\"mean\":%.1f,\"p99\":%d,\"max\":%.1f}}\n", (unsigned long long)sent_total,
            sent_total ? late_sum / 1e3 / sent_total : 0.0, p99, late_max / 1e3);
}

int main(int argc, char **argv) {
    if (argc != 7 && argc != 9) {
        fprintf(stderr, "usage: truth_server PORT TTFT_MS INTERVAL_MS DELTAS in_phase|spread TRUTH_FILE [CERTIFICATE KEY]\n");
        return 2;
    }
    if (argc == 9) {
#ifdef TLS
        signal(SIGPIPE, SIG_IGN);
        tls = SSL_CTX_new(TLS_server_method());
        if (SSL_CTX_use_certificate_chain_file(tls, argv[7]) != 1 || SSL_CTX_use_PrivateKey_file(tls, argv[8], SSL_FILETYPE_PEM) != 1)
            return ERR_print_errors_fp(stderr), 2;
#else
        fprintf(stderr, "built without TLS\n");
        return 2;
#endif
    }
    ttft = (ns_t)(atof(argv[2]) * 1e6), interval = (ns_t)(atof(argv[3]) * 1e6), deltas = atoi(argv[4]);
    in_phase = !strcmp(argv[5], "in_phase");
    if (!(truth = fopen(argv[6], "w"))) return perror(argv[6]), 2;
    static char buffer[1 << 22];
    setvbuf(truth, buffer, _IOFBF, sizeof buffer);
    render();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    prctl(PR_SET_TIMERSLACK, 1);
    struct sigaction act = {.sa_handler = on_signal};
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGINT, &act, NULL);
    struct rlimit files = {MAX_FD, MAX_FD};
    setrlimit(RLIMIT_NOFILE, &files);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1, epoll = epoll_create1(0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 4096)) return perror("listen"), 2;
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = listener}, ready[512];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &ev);
    socklen_t size = sizeof at;
    getsockname(listener, (struct sockaddr *)&at, &size);
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    while (!stop_now) {
        ns_t now = clock_ns(CLOCK_MONOTONIC);
        while (heap_n && heap[0]->due <= now) {
            send_delta(heap[0]);
            now = clock_ns(CLOCK_MONOTONIC);
        }
        ns_t wait = heap_n ? heap[0]->due - now : 100000000;
        struct timespec timeout = {wait < 0 ? 0 : wait / 1000000000, wait < 0 ? 0 : wait % 1000000000};
        int n = epoll_pwait2(epoll, ready, 512, &timeout, NULL);
        ns_t shift = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
        for (int i = 0; i < n; i++) {
            if (ready[i].data.fd == listener) accept_all(listener, epoll);
            else if (conns[ready[i].data.fd]) on_readable(conns[ready[i].data.fd], shift);
        }
    }
    for (int fd = 0; fd < MAX_FD; fd++)
        if (conns[fd]) drop(conns[fd]);
    fclose(truth);
    summary();
    return 0;
}
