/* The hot path of the client, compiled: the same Taken and Reads as plain.py, whose docstrings say what they do.
 *
 * plain.py is the meaning of this file: whatever one takes, keeps or hands on, the other does, byte for byte
 * (tests/load/test_hot.py, test_segments.py). No bytes are interpreted here but by comparing them with what a parser has proved.
 * One thread, CPython's stable ABI, nothing but the C library beside it.
 */

#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#define READ_BYTES (64 * 1024)
#define MOST_TEXT_BYTES (64 * 1024)
#define MOST_EVENTS 128
#define FEWEST_PLACES 64
#define MOST_DIGITS 8
#define SHARED (-1)
#define LATER (-2)
#define STAMP 35 /* SO_TIMESTAMPNS and SCM_TIMESTAMPNS of all architectures with the generic socket numbers */
#define SECOND 1000000000LL

#include "segments.h"

/* -- Taken: a run of reads that fit one stencil ------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    PyObject *before, *after; /* bytes around a text; NULL while closed */
    const char *before_at, *after_at;
    Py_ssize_t before_size, after_size;
    char *text; /* of all reads, one behind the other */
    uint32_t text_size, text_room;
    uint32_t *ends; /* where the text of each read ends in `text` */
    int64_t *arrivals_ns, *lags_ns;
    uint32_t count, room;
} Taken;

static PyTypeObject *TakenType;

/* UTF-8 as RFC 3629 has it (no overlong forms, no surrogates), without quote, backslash or control character. */
static int is_proper(const unsigned char *text, Py_ssize_t size) {
    const unsigned char *end = text + size;
    while (text < end) {
        unsigned char first = *text++;
        int more;
        unsigned char low = 0x80, high = 0xBF;
        if (first < 0x80) {
            if (first < 0x20 || first == '"' || first == '\\') return 0;
            continue;
        }
        if (first >= 0xC2 && first <= 0xDF) more = 1;
        else if (first >= 0xE0 && first <= 0xEF) {
            more = 2;
            if (first == 0xE0) low = 0xA0;
            if (first == 0xED) high = 0x9F;
        } else if (first >= 0xF0 && first <= 0xF4) {
            more = 3;
            if (first == 0xF0) low = 0x90;
            if (first == 0xF4) high = 0x8F;
        } else return 0;
        if (end - text < more) return 0;
        if (*text < low || *text > high) return 0;
        for (text++; --more; text++)
            if (*text < 0x80 || *text > 0xBF) return 0;
    }
    return 1;
}

/* Size line of the chunk at `read`: lower-case hex without leading zeros. Its length, 0 where it is none. */
static int size_line(const char *read, Py_ssize_t size, Py_ssize_t *chunk) {
    int digits = 0;
    *chunk = 0;
    for (; digits < MOST_DIGITS && digits < size; digits++) {
        char digit = read[digits];
        if (digit >= '0' && digit <= '9') *chunk = *chunk << 4 | (digit - '0');
        else if (digit >= 'a' && digit <= 'f') *chunk = *chunk << 4 | (digit - 'a' + 10);
        else break;
    }
    if (!digits || read[0] == '0' || digits + 2 > size || read[digits] != '\r' || read[digits + 1] != '\n') return 0;
    return digits + 2;
}

/* The text in the chunk at `read`, where that fits, NULL where it does not; *used: bytes of the whole chunk. */
static const char *text_in(const Taken *self, const char *read, Py_ssize_t size, Py_ssize_t *text_size,
                           Py_ssize_t *used) {
    Py_ssize_t chunk;
    int line = size_line(read, size, &chunk);
    *used = line + chunk + 2;
    *text_size = chunk + 2 - self->before_size - self->after_size;
    if (!line || *used > size || *text_size <= 0) return NULL;
    read += line;
    if (memcmp(read, self->before_at, self->before_size)) return NULL;
    read += self->before_size;
    if (memcmp(read + *text_size, self->after_at, self->after_size)) return NULL;
    return is_proper((const unsigned char *)read, *text_size) ? read : NULL;
}

static int grow(void **place, size_t bytes) {
    void *more = PyMem_Realloc(*place, bytes);
    if (more) *place = more;
    return more != NULL;
}

static int make_room(Taken *self, Py_ssize_t text_size) {
    if (self->text_size + text_size > self->text_room) {
        size_t room = self->text_room ? 2 * (size_t)self->text_room : 1024;
        while (room < self->text_size + (size_t)text_size) room *= 2;
        if (!grow((void **)&self->text, room)) return 0;
        self->text_room = (uint32_t)room;
    }
    if (self->count == self->room) {
        size_t room = self->room ? 2 * (size_t)self->room : 64;
        if (!grow((void **)&self->ends, room * sizeof *self->ends)) return 0;
        if (!grow((void **)&self->arrivals_ns, room * sizeof *self->arrivals_ns)) return 0;
        if (!grow((void **)&self->lags_ns, room * sizeof *self->lags_ns)) return 0;
        self->room = (uint32_t)room;
    }
    return 1;
}

/* 1: the read is kept, all of its chunks; 0: somebody else must look at it. */
static int take(Taken *self, const char *read, Py_ssize_t size, int64_t arrival_ns, int64_t read_ns) {
    uint32_t text_before = self->text_size, count_before = self->count;
    if (!self->before || !size) return 0;
    for (Py_ssize_t text_size, used; size; read += used, size -= used) {
        const char *text = text_in(self, read, size, &text_size, &used);
        if (!text || self->text_size + text_size > MOST_TEXT_BYTES || !make_room(self, text_size)) {
            self->text_size = text_before;
            self->count = count_before;
            return 0;
        }
        memcpy(self->text + self->text_size, text, text_size);
        self->text_size += (uint32_t)text_size;
        self->ends[self->count] = self->text_size;
        self->arrivals_ns[self->count] = arrival_ns;
        self->lags_ns[self->count] = self->count == count_before ? read_ns - arrival_ns : SHARED;
        self->count++;
    }
    return 1;
}

static void shut(Taken *self) {
    Py_CLEAR(self->before);
    Py_CLEAR(self->after);
}

static PyObject *Taken_open(Taken *self, PyObject *args) {
    PyObject *before, *after;
    if (!PyArg_ParseTuple(args, "SS", &before, &after)) return NULL;
    Py_INCREF(before);
    Py_INCREF(after);
    shut(self);
    self->before = before;
    self->after = after;
    self->before_at = PyBytes_AsString(before);
    self->before_size = PyBytes_Size(before);
    self->after_at = PyBytes_AsString(after);
    self->after_size = PyBytes_Size(after);
    Py_RETURN_NONE;
}

static PyObject *Taken_close(Taken *self, PyObject *Py_UNUSED(none)) {
    shut(self);
    Py_RETURN_NONE;
}

static PyObject *Taken_take(Taken *self, PyObject *const *args, Py_ssize_t count) {
    char *read;
    Py_ssize_t size;
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "take(read, arrival_ns, read_ns)");
        return NULL;
    }
    if (!self->before) Py_RETURN_FALSE;
    if (PyBytes_AsStringAndSize(args[0], &read, &size) < 0) return NULL;
    int64_t arrival_ns = PyLong_AsLongLong(args[1]);
    int64_t read_ns = PyLong_AsLongLong(args[2]);
    if (PyErr_Occurred()) return NULL;
    return PyBool_FromLong(take(self, read, size, arrival_ns, read_ns));
}

static void empty(Taken *self) {
    PyMem_Free(self->text);
    PyMem_Free(self->ends);
    PyMem_Free(self->arrivals_ns);
    PyMem_Free(self->lags_ns);
    self->text = NULL;
    self->ends = NULL;
    self->arrivals_ns = self->lags_ns = NULL;
    self->text_size = self->text_room = self->count = self->room = 0;
}

static PyObject *Taken_hand_over(Taken *self, PyObject *Py_UNUSED(none)) {
    Py_ssize_t count = self->count;
    PyObject *all = Py_BuildValue("(y#y#y#y#)",
                                  self->text ? self->text : "", (Py_ssize_t)self->text_size,
                                  self->ends ? (char *)self->ends : "", count * (Py_ssize_t)sizeof *self->ends,
                                  self->arrivals_ns ? (char *)self->arrivals_ns : "",
                                  count * (Py_ssize_t)sizeof *self->arrivals_ns,
                                  self->lags_ns ? (char *)self->lags_ns : "",
                                  count * (Py_ssize_t)sizeof *self->lags_ns);
    if (all) empty(self);
    return all;
}

static PyObject *Taken_is_open(Taken *self, void *Py_UNUSED(closure)) {
    return PyBool_FromLong(self->before != NULL);
}

static PyObject *Taken_count(Taken *self, void *Py_UNUSED(closure)) {
    return PyLong_FromUnsignedLong(self->count);
}

static void Taken_dealloc(Taken *self) {
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    shut(self);
    empty(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static PyMethodDef taken_methods[] = {
    {"open", (PyCFunction)Taken_open, METH_VARARGS, NULL},
    {"close", (PyCFunction)Taken_close, METH_NOARGS, NULL},
    {"take", (PyCFunction)(void (*)(void))Taken_take, METH_FASTCALL, NULL},
    {"hand_over", (PyCFunction)Taken_hand_over, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef taken_getters[] = {
    {"is_open", (getter)Taken_is_open, NULL, NULL, NULL},
    {"count", (getter)Taken_count, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot taken_slots[] = {
    {Py_tp_dealloc, Taken_dealloc},
    {Py_tp_methods, taken_methods},
    {Py_tp_getset, taken_getters},
    {0, NULL},
};

static PyType_Spec taken_spec = {
    .name = "harness.load.hot.compiled.Taken",
    .basicsize = sizeof(Taken),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = taken_slots,
};

/* -- Reads: the sockets that are ready, read once each ------------------------------------------------------------ */

/* What is known of a descriptor. */
typedef struct {
    Taken *taken; /* NULL: every read is handed on */
    Course *course; /* NULL: no tap tells of its segments */
} Place;

typedef struct {
    PyObject_HEAD
    Ring *ring; /* NULL without a tap */
    Place *places; /* by descriptor */
    int room;
    char buffer[READ_BYTES];
} Reads;

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * SECOND + now.tv_nsec;
}

static Place *place_of(Reads *self, int fd) {
    if (fd >= self->room) {
        int room = self->room ? self->room : FEWEST_PLACES;
        while (room <= fd) room *= 2;
        if (!grow((void **)&self->places, (size_t)room * sizeof *self->places)) return (Place *)PyErr_NoMemory();
        memset(self->places + self->room, 0, (size_t)(room - self->room) * sizeof *self->places);
        self->room = room;
    }
    return self->places + fd;
}

static PyObject *carry(Reads *self, int fd, PyObject *taken) {
    Place *place = place_of(self, fd);
    if (!place) return NULL;
    PyObject *old = (PyObject *)place->taken;
    place->taken = (Taken *)Py_XNewRef(taken);
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

static PyObject *Reads_carry(Reads *self, PyObject *args) {
    PyObject *sock, *taken;
    if (!PyArg_ParseTuple(args, "OO", &sock, &taken)) return NULL;
    int fd = PyObject_AsFileDescriptor(sock);
    if (fd < 0) return NULL;
    if (taken == Py_None) return carry(self, fd, NULL);
    if (Py_TYPE(taken) == TakenType) return carry(self, fd, taken);
    PyErr_SetString(PyExc_TypeError, "carry(socket, Taken or None)");
    return NULL;
}

static PyObject *Reads_drop(Reads *self, PyObject *sock) {
    int fd = PyObject_AsFileDescriptor(sock);
    if (fd < 0) return NULL;
    if (fd < self->room) {
        forget(self->places[fd].course);
        self->places[fd].course = NULL;
    }
    return carry(self, fd, NULL);
}

static PyObject *Reads_listen(Reads *self, PyObject *args) {
    PyObject *frames;
    unsigned int frame_bytes;
    if (!PyArg_ParseTuple(args, "OI", &frames, &frame_bytes)) return NULL;
    if (self->ring || frame_bytes < sizeof(Frame) || frame_bytes % sizeof(uint32_t)) {
        PyErr_SetString(PyExc_ValueError, "listen(frames, bytes of a frame), once");
        return NULL;
    }
    if (!(self->ring = make_ring(frames, frame_bytes))) return NULL;
    Py_RETURN_NONE;
}

static PyObject *Reads_note(Reads *self, PyObject *Py_UNUSED(none)) {
    if (self->ring) drain(self->ring);
    Py_RETURN_NONE;
}

static PyObject *Reads_follow(Reads *self, PyObject *sock) {
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } ours;
    socklen_t size = sizeof ours;
    int fd = PyObject_AsFileDescriptor(sock);
    if (fd < 0) return NULL;
    Place *place = place_of(self, fd);
    if (!place) return NULL;
    forget(place->course);
    place->course = NULL;
    if (getsockname(fd, &ours.any, &size) < 0) return PyErr_SetFromErrno(PyExc_OSError);
    uint16_t port = ntohs(ours.any.sa_family == AF_INET6 ? ours.six.sin6_port : ours.four.sin_port);
    if (self->ring && !(place->course = follow(self->ring, port))) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyObject *failed(int fd, int error, int64_t read_ns) {
    PyObject *words = PyUnicode_FromString(strerror(error));
    if (!words) return NULL;
    PyObject *problem = PyObject_CallFunction(PyExc_OSError, "iO", error, words);
    Py_DECREF(words);
    if (!problem) return NULL;
    return Py_BuildValue("(iNOL)", fd, problem, Py_None, (long long)read_ns);
}

/* Wall time of the newest segment as the kernel stamped it; 0: it did not. */
static int64_t stamp_of(struct msghdr *message) {
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == STAMP && part->cmsg_len == CMSG_LEN(16)) {
            int64_t stamp[2];
            memcpy(stamp, CMSG_DATA(part), sizeof stamp);
            return stamp[0] * SECOND + stamp[1];
        }
    }
    return 0;
}

/* -1: an exception is set. */
static int hand_on(PyObject *left, PyObject *item) {
    if (!item) return -1;
    int code = PyList_Append(left, item);
    Py_DECREF(item);
    return code;
}

/* Where a read stands in time: the kernel's clock to ours, and when it was made. */
typedef struct {
    int64_t offset_ns, read_ns;
} Moment;

static int64_t arrival_of(int64_t stamp_ns, Moment moment) {
    int64_t arrival_ns = stamp_ns - moment.offset_ns;
    return arrival_ns < moment.read_ns ? arrival_ns : moment.read_ns;
}

/* 1: the run has it. 0: it was handed on, and what comes behind it must be, too. -1: an exception is set. */
static int give(Taken *taken, int fd, const char *read, Py_ssize_t size, int64_t arrival_ns, int64_t read_ns,
                PyObject *left) {
    if (taken && take(taken, read, size, arrival_ns, read_ns)) return 1;
    return hand_on(left, Py_BuildValue("(iy#LL)", fd, read, size, (long long)arrival_ns, (long long)read_ns));
}

/* The read in the buffer, the last segment of which was stamped: segment by segment, where each is known. */
static int give_all(Reads *self, int fd, Py_ssize_t size, int64_t stamp_ns, Moment moment, PyObject *left) {
    Place none = {NULL, NULL}, place = fd < self->room ? self->places[fd] : none;
    uint32_t count = place.course ? segments_of(place.course, size, stamp_ns) : 0;
    int64_t arrival_ns;
    Py_ssize_t at = 0;
    for (uint32_t index = 0; index + 1 < count; index++) {
        Segment *each = segment(place.course, index);
        Py_ssize_t stop = ahead(each->stop, place.course->due);
        arrival_ns = arrival_of(each->stamp_ns, moment);
        int code = give(place.taken, fd, self->buffer + at, stop - at, arrival_ns,
                        index ? arrival_ns + LATER : moment.read_ns, left);
        if (code < 0) return -1;
        if (!code) place.taken = NULL;
        at = stop;
    }
    arrival_ns = arrival_of(stamp_ns, moment);
    return give(place.taken, fd, self->buffer + at, size - at, arrival_ns, at ? arrival_ns + LATER : moment.read_ns, left);
}

/* One read of one socket. What was not taken is appended to `left`; -1 with an exception set. */
static int read_one(Reads *self, int fd, int64_t offset_ns, int trusted, PyObject *left) {
    char control[CMSG_SPACE(16)];
    struct iovec place = {self->buffer, READ_BYTES};
    struct msghdr message = {.msg_iov = &place, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t size = recvmsg(fd, &message, MSG_DONTWAIT);
    int error = errno;
    Moment moment = {offset_ns, now_ns()};
    if (size < 0) {
        if (error == EAGAIN || error == EWOULDBLOCK || error == EINTR) return 0;
        return hand_on(left, failed(fd, error, moment.read_ns));
    }
    int64_t stamp_ns = trusted ? stamp_of(&message) : UNKNOWN;
    int code = stamp_ns ? give_all(self, fd, size, stamp_ns, moment, left)
                        : hand_on(left, Py_BuildValue("(iy#OL)", fd, self->buffer, (Py_ssize_t)size, Py_None,
                                                      (long long)moment.read_ns));
    if (fd < self->room && self->places[fd].course) pass(self->places[fd].course, size);
    return code < 0 ? -1 : 0;
}

static PyObject *Reads_read(Reads *self, PyObject *args) {
    PyObject *sock;
    int trusted;
    long long offset_ns;
    if (!PyArg_ParseTuple(args, "OLp", &sock, &offset_ns, &trusted)) return NULL;
    int fd = PyObject_AsFileDescriptor(sock);
    if (fd < 0) return NULL;
    PyObject *left = PyList_New(0);
    if (left && read_one(self, fd, offset_ns, trusted, left) < 0) Py_CLEAR(left);
    return left;
}

static PyObject *Reads_read_ready(Reads *self, PyObject *args) {
    PyObject *poller, *left;
    int trusted;
    long long offset_ns;
    struct epoll_event ready[MOST_EVENTS];
    if (!PyArg_ParseTuple(args, "OLp", &poller, &offset_ns, &trusted)) return NULL;
    int fd = PyObject_AsFileDescriptor(poller);
    if (fd < 0) return NULL;
    int count = epoll_wait(fd, ready, MOST_EVENTS, 0);
    if (count < 0 && errno != EINTR) return PyErr_SetFromErrno(PyExc_OSError);
    if (!(left = PyList_New(0))) return NULL;
    for (int at = 0; at < count; at++) {
        if (read_one(self, ready[at].data.fd, offset_ns, trusted, left) < 0) {
            Py_DECREF(left);
            return NULL;
        }
    }
    return Py_BuildValue("(iN)", count < 0 ? 0 : count, left);
}

static void Reads_dealloc(Reads *self) {
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    for (int fd = 0; fd < self->room; fd++) {
        forget(self->places[fd].course);
        Py_XDECREF((PyObject *)self->places[fd].taken);
    }
    PyMem_Free(self->places);
    free_ring(self->ring);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static PyMethodDef reads_methods[] = {
    {"carry", (PyCFunction)Reads_carry, METH_VARARGS, NULL},
    {"drop", (PyCFunction)Reads_drop, METH_O, NULL},
    {"listen", (PyCFunction)Reads_listen, METH_VARARGS, NULL},
    {"note", (PyCFunction)Reads_note, METH_NOARGS, NULL},
    {"follow", (PyCFunction)Reads_follow, METH_O, NULL},
    {"read", (PyCFunction)Reads_read, METH_VARARGS, NULL},
    {"read_ready", (PyCFunction)Reads_read_ready, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot reads_slots[] = {
    {Py_tp_dealloc, Reads_dealloc},
    {Py_tp_methods, reads_methods},
    {0, NULL},
};

static PyType_Spec reads_spec = {
    .name = "harness.load.hot.compiled.Reads",
    .basicsize = sizeof(Reads),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = reads_slots,
};

/* -- the module ---------------------------------------------------------------------------------------------------- */

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "harness.load.hot.compiled",
    .m_size = -1,
};

PyMODINIT_FUNC PyInit_compiled(void) {
    PyObject *module = PyModule_Create(&definition);
    if (!module) return NULL;
    TakenType = (PyTypeObject *)PyType_FromSpec(&taken_spec);
    PyObject *reads = PyType_FromSpec(&reads_spec);
    if (!TakenType || !reads || PyModule_AddObjectRef(module, "Taken", (PyObject *)TakenType) < 0 ||
        PyModule_AddObjectRef(module, "Reads", reads) < 0) {
        Py_XDECREF(reads);
        Py_DECREF(module);
        return NULL;
    }
    Py_DECREF(reads);
    return module;
}
