/* What a tap saw, compiled: Ring and Course of segments.py, whose docstrings say what they do. Part of compiled.c. */

#include <netinet/in.h>

#define OURS 1u
#define TCP_BYTES 20
#define SYN 0x02
#define ACK 0x10
#define PORTS 65536
#define MOST_SEGMENTS 8192
#define FEWEST_SEGMENTS 8
#define UNKNOWN 0
#define NEAR_NS 1000000

/* The head of struct tpacket2_hdr (linux/if_packet.h), which says who has the frame, and what is in it. */
typedef struct {
    uint32_t status, length, captured;
    uint16_t link, begin;
    uint32_t seconds, nanoseconds;
} Frame;

/* By version of IP: bytes of its header; where that holds the length, what is to be added, and the sender's address. */
typedef struct {
    int header_bytes, length_at, length_more, address_at, address_bytes;
} Shape;

static const Shape FOUR = {20, 2, 0, 12, 4}, SIX = {40, 4, 40, 8, 16};

typedef struct {
    uint32_t stop;
    int64_t stamp_ns;
} Segment;

typedef struct Ring Ring;

typedef struct {
    Ring *ring;
    uint16_t port;
    int known; /* its SYN-ACK has passed */
    unsigned char sender[18]; /* address and port */
    int sender_bytes;
    uint32_t due, stop;
    Segment *ends; /* in a circle of `room`, a power of two */
    uint32_t first, count, room;
} Course;

struct Ring {
    Py_buffer frames;
    uint32_t frame_bytes, frame_count, at;
    Course *courses[PORTS];
};

static int32_t ahead(uint32_t sequence, uint32_t other) { return (int32_t)(sequence - other); }

static uint16_t two_bytes(const unsigned char *at) { return (uint16_t)(at[0] << 8 | at[1]); }

static uint32_t four_bytes(const unsigned char *at) { return (uint32_t)two_bytes(at) << 16 | two_bytes(at + 2); }

static Segment *segment(Course *course, uint32_t index) {
    return &course->ends[(course->first + index) & (course->room - 1)];
}

/* Without memory the segments are lost: their reads stay whole. */
static int widen(Course *course) {
    uint32_t room = course->room ? 2 * course->room : FEWEST_SEGMENTS;
    Segment *ends = PyMem_Malloc(room * sizeof *ends);
    if (!ends) return 0;
    for (uint32_t index = 0; index < course->count; index++) ends[index] = *segment(course, index);
    PyMem_Free(course->ends);
    course->ends = ends;
    course->room = room;
    course->first = 0;
    return 1;
}

static void append_end(Course *course, uint32_t stop, int64_t stamp_ns) {
    if (ahead(stop, course->due) > 0) { /* else it was read before it was noted */
        if (course->count == MOST_SEGMENTS) {
            course->count--;
            stamp_ns = UNKNOWN;
        }
        if (course->count == course->room && !widen(course)) return;
        *segment(course, course->count++) = (Segment){stop, stamp_ns};
    }
    course->stop = stop;
}

static void note(Course *course, const unsigned char *sender, int sender_bytes, const unsigned char *tcp, int32_t size,
                 int64_t stamp_ns) {
    uint32_t sequence = four_bytes(tcp + 4);
    if (!course->known) {
        if ((tcp[13] & (SYN | ACK)) != (SYN | ACK)) return;
        memcpy(course->sender, sender, sender_bytes);
        course->sender_bytes = sender_bytes;
        course->known = 1;
        course->stop = sequence + 1;
        course->due += course->stop;
        return;
    }
    if (size <= 0 || sender_bytes != course->sender_bytes || memcmp(course->sender, sender, sender_bytes)) return;
    if (ahead(sequence, course->stop) > 0) append_end(course, sequence, UNKNOWN);
    if (ahead(sequence + (uint32_t)size, course->stop) > 0) append_end(course, sequence + (uint32_t)size, stamp_ns);
}

static void look(Ring *ring, const unsigned char *packet, uint32_t captured, int64_t stamp_ns) {
    const Shape *shape = !captured ? NULL : packet[0] >> 4 == 4 ? &FOUR : packet[0] >> 4 == 6 ? &SIX : NULL;
    if (!shape || captured < (uint32_t)shape->header_bytes + TCP_BYTES) return;
    const unsigned char *tcp = packet + shape->header_bytes;
    Course *course = ring->courses[two_bytes(tcp + 2)];
    if (!course) return;
    int32_t size = two_bytes(packet + shape->length_at) + shape->length_more - shape->header_bytes - (tcp[12] >> 4) * 4;
    unsigned char sender[18];
    memcpy(sender, packet + shape->address_at, shape->address_bytes);
    memcpy(sender + shape->address_bytes, tcp, 2);
    note(course, sender, shape->address_bytes + 2, tcp, size, stamp_ns);
}

static void drain(Ring *ring) {
    for (uint32_t turn = 0; turn < ring->frame_count; turn++) {
        unsigned char *place = (unsigned char *)ring->frames.buf + (size_t)ring->at * ring->frame_bytes;
        Frame *frame = (Frame *)place;
        if (!(__atomic_load_n(&frame->status, __ATOMIC_ACQUIRE) & OURS)) return;
        uint32_t begin = frame->begin, captured = frame->captured;
        if (begin < ring->frame_bytes) {
            if (captured > ring->frame_bytes - begin) captured = ring->frame_bytes - begin;
            look(ring, place + begin, captured, frame->seconds * SECOND + frame->nanoseconds);
        }
        __atomic_store_n(&frame->status, 0, __ATOMIC_RELEASE);
        if (++ring->at == ring->frame_count) ring->at = 0;
    }
}

static int reaches(const Course *course, Py_ssize_t size) {
    return course->known && ahead(course->stop, course->due) >= size;
}

/* Into how many segments the next `size` bytes fall, which were read, the last of them at `stamp_ns`; 0: unknown. */
static uint32_t segments_of(Course *course, Py_ssize_t size, int64_t stamp_ns) {
    if (!reaches(course, size)) drain(course->ring);
    if (!reaches(course, size)) return 0;
    for (uint32_t index = 0; index < course->count; index++) {
        Segment *each = segment(course, index);
        if (each->stamp_ns == UNKNOWN) return 0;
        if (ahead(each->stop, course->due) < size) continue;
        return stamp_ns >= each->stamp_ns && stamp_ns - each->stamp_ns <= NEAR_NS ? index + 1 : 0;
    }
    return 0;
}

/* The reader is so many bytes further. */
static void pass(Course *course, Py_ssize_t size) {
    course->due += (uint32_t)size;
    while (course->count && ahead(segment(course, 0)->stop, course->due) <= 0) {
        course->first = (course->first + 1) & (course->room - 1);
        course->count--;
    }
}

static Course *follow(Ring *ring, uint16_t port) {
    Course *course = PyMem_Calloc(1, sizeof *course);
    if (!course) return NULL;
    course->ring = ring;
    course->port = port;
    ring->courses[port] = course;
    return course;
}

static void forget(Course *course) {
    if (!course) return;
    if (course->ring->courses[course->port] == course) course->ring->courses[course->port] = NULL;
    PyMem_Free(course->ends);
    PyMem_Free(course);
}

static Ring *make_ring(PyObject *frames, uint32_t frame_bytes) {
    Ring *ring = PyMem_Calloc(1, sizeof *ring);
    if (!ring) return (Ring *)PyErr_NoMemory();
    if (PyObject_GetBuffer(frames, &ring->frames, PyBUF_WRITABLE) < 0) {
        PyMem_Free(ring);
        return NULL;
    }
    ring->frame_bytes = frame_bytes;
    ring->frame_count = (uint32_t)(ring->frames.len / frame_bytes);
    return ring;
}

static void free_ring(Ring *ring) {
    if (!ring) return;
    PyBuffer_Release(&ring->frames);
    PyMem_Free(ring);
}
