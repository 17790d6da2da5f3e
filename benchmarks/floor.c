/* What the kernel alone costs: one epoll thread that reads paced streams and does nothing with them.
 *
 *   floor PORT STREAMS
 *
 * Connects, sends all requests at once, reads until every stream has ended, and prints CPU seconds (user + system,
 * connecting left out), reads and bytes as one JSON line. No client can be cheaper without reading less often.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static double cpu_s(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv) {
    if (argc != 3) return fprintf(stderr, "usage: floor PORT STREAMS\n"), 2;
    int streams = atoi(argv[2]), epoll = epoll_create1(0), one = 1, open = streams;
    struct rlimit files = {streams + 64, streams + 64};
    setrlimit(RLIMIT_NOFILE, &files);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int *fds = malloc(sizeof(int) * streams);
    for (int i = 0; i < streams; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (connect(fds[i], (struct sockaddr *)&at, sizeof at)) return perror("connect"), 1;
        struct epoll_event ev = {.events = EPOLLIN, .data.fd = fds[i]};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &ev);
    }
    double begun = cpu_s();
    long reads = 0, bytes = 0;
    char request[256], in[65536];
    for (int i = 0; i < streams; i++) {
        int size = sprintf(request, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Request-Id: floor-%d\r\nContent-Length: 2\r\n\r\n{}", i);
        if (send(fds[i], request, size, 0) != size) return perror("send"), 1;
    }
    struct epoll_event ready[512];
    while (open) {
        int n = epoll_wait(epoll, ready, 512, 60000);
        if (n <= 0) return fprintf(stderr, "nothing for a minute\n"), 1;
        for (int i = 0; i < n; i++) {
            ssize_t got = recv(ready[i].data.fd, in, sizeof in, 0);
            if (got <= 0) return fprintf(stderr, "a stream was cut\n"), 1;
            reads++, bytes += got;
            if (got >= 5 && !memcmp(in + got - 5, "0\r\n\r\n", 5)) {
                epoll_ctl(epoll, EPOLL_CTL_DEL, ready[i].data.fd, NULL);
                open--;
            }
        }
    }
    printf("{\"cpu_s\":%.4f,\"reads\":%ld,\"bytes\":%ld}\n", cpu_s() - begun, reads, bytes);
    return 0;
}
