/* Counts what a guest executes, from outside: a plugin for QEMU's translator (TCG).
 *
 *     -plugin libcount.so,counters=FILE
 *
 * FILE holds the counters, as `enum counter` below orders them: unsigned, 64 bits, in the host's
 * byte order. It must be there, and as long as they are. The translator adds to the mapped file,
 * so that whoever reads the file while the guest runs (or after its end) reads the counters.
 *
 * - Instructions are counted a translation block at a time, when the block is entered: one that a
 *   fault leaves in the middle counts whole. A repeated string instruction counts once an iteration.
 * To compare with a kernel that counts events itself (kernel/abi/src/count.rs), four more arguments:
 *
 *     ,entry=ADDRESS,interrupt=ADDRESS,copy=ADDRESS,code=HEX
 *
 * where system calls, and interrupts of programs, enter the kernel; where the routine lies by which
 * the watched program copies, and its bytes: other programs have other code there. Up to three more
 * such pairs, copy2 and code2 to copy4 and code4, name code of which only the bytes are counted that it
 * moves. Such a kernel
 * marks, by an instruction that does nothing, where its process that observes begins and ceases to
 * run, and where it begins to count and is read. What happens while that process runs isn't
 * counted. Each time that it is read, the file gets a record of `enum watched`, behind the counters and
 * a word that says how many records there are.
 *
 * - The additions are not atomic: exact with one CPU only, so others are refused.
 *
 * Debian ships no qemu-plugin.h. What follows declares the part of it that is used here, of the
 * interface's version 1: QEMU 7.2, include/qemu/qemu-plugin.h; the functions of each kind are
 * described in docs/devel/tcg-plugins.rst there.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;

struct qemu_plugin_tb;
struct qemu_plugin_insn;

typedef struct qemu_info_t {
    const char *target_name;
    struct {
        int min;
        int cur;
    } version;
    bool system_emulation;
    union {
        struct {
            int smp_vcpus;
            int max_vcpus;
        } system;
    };
} qemu_info_t;

enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };
enum qemu_plugin_mem_rw { QEMU_PLUGIN_MEM_R = 1, QEMU_PLUGIN_MEM_W, QEMU_PLUGIN_MEM_RW };
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };

typedef uint32_t qemu_plugin_meminfo_t;

typedef void (*qemu_plugin_vcpu_udata_cb_t)(unsigned int, void *);
typedef void (*qemu_plugin_vcpu_mem_cb_t)(unsigned int, qemu_plugin_meminfo_t, uint64_t, void *);
typedef void (*qemu_plugin_vcpu_tb_trans_cb_t)(qemu_plugin_id_t, struct qemu_plugin_tb *);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, qemu_plugin_vcpu_tb_trans_cb_t);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, enum qemu_plugin_op, void *,
                                              uint64_t);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *, enum qemu_plugin_op,
                                                void *, uint64_t);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, qemu_plugin_vcpu_udata_cb_t,
                                            enum qemu_plugin_cb_flags, void *);
void qemu_plugin_register_vcpu_mem_inline(struct qemu_plugin_insn *, enum qemu_plugin_mem_rw,
                                          enum qemu_plugin_op, void *, uint64_t);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *, qemu_plugin_vcpu_mem_cb_t,
                                      enum qemu_plugin_cb_flags, enum qemu_plugin_mem_rw, void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);

/* The version that this was written for: QEMU refuses a plugin that it is too new for. */
EXPORT int qemu_plugin_version = 1;

/* mk/src/plugin.rs reads them by these places. */
enum counter {
    USER,   /* instructions in the lower half of the address space */
    KERNEL, /* in the upper half */
    SPACES, /* of these, moves to CR3: another address space */
    COUNTERS
};

static uint64_t *counters;

/* mk/src/plugin/watch.rs reads them by these places. */
enum watched {
    ENTRIES, /* entries into the kernel out of programs */
    LOADS,   /* moves to CR3 */
    PAGES,   /* invlpg */
    ZEROED,  /* bytes of frames that the kernel's string stores wrote */
    MOVED,   /* bytes that the watched code wrote */
    ROUTINE, /* instructions of that routine */
    COPIES,  /* times that it was entered */
    STRINGS, /* bytes that the watched code's string moves loaded and stored: twice what they moved */
    WATCHED
};

/* The displacements of the instructions that mark: kernel/abi/src/count.rs, `mark`. */
enum mark { PAUSE = 0x75737501, RESUME, BEGIN, READ };

enum { CODES = 4 };

static struct {
    bool on;
    uint64_t entry, interrupt;
    /* Code that moves bytes; the routine by which the watched program copies is the first. */
    struct code {
        uint64_t at;
        uint8_t bytes[1024];
        size_t length;
    } codes[CODES];
    /* What happened, always; when the observer ceased to run; and while it didn't run. */
    uint64_t all[WATCHED], since[WATCHED], counted[WATCHED];
    bool paused;
    /* How many records there are, and may be, and where they go. */
    uint64_t *records, room, *into;
} watch = {.paused = true};

static void marked(unsigned int cpu, void *data)
{
    (void)cpu;
    switch ((enum mark)(uintptr_t)data) {
    case PAUSE:
        if (!watch.paused)
            for (size_t i = 0; i < WATCHED; i++)
                watch.counted[i] += watch.all[i] - watch.since[i];
        watch.paused = true;
        break;
    case RESUME:
        memcpy(watch.since, watch.all, sizeof watch.since);
        watch.paused = false;
        break;
    case BEGIN:
        memset(watch.counted, 0, sizeof watch.counted);
        watch.paused = true;
        break;
    case READ:
        if (*watch.records < watch.room)
            memcpy(watch.into + *watch.records * WATCHED, watch.counted, sizeof watch.counted);
        ++*watch.records;
        break;
    }
}

/* mov cr3, r64: 0F 22 /3, perhaps behind a REX prefix (Intel SDM volume 2, "MOV: move to/from
 * control registers"). */
static bool loads_cr3(const struct qemu_plugin_insn *instruction)
{
    const uint8_t *byte = qemu_plugin_insn_data(instruction);
    size_t size = qemu_plugin_insn_size(instruction);

    if (size > 0 && (byte[0] & 0xf0) == 0x40) {
        byte++;
        size--;
    }
    return size == 3 && byte[0] == 0x0f && byte[1] == 0x22 && (byte[2] >> 3 & 7) == 3;
}

/* nop dword ptr [rax + mark]: 0F 1F 80 and the displacement. */
static uint32_t mark_of(const uint8_t *byte, size_t size)
{
    uint32_t mark;

    if (size != 7 || byte[0] != 0x0f || byte[1] != 0x1f || byte[2] != 0x80)
        return 0;
    memcpy(&mark, byte + 3, sizeof mark);
    return mark >= PAUSE && mark <= READ ? mark : 0;
}

/* invlpg m: 0F 01 /7 with a memory operand, perhaps behind a REX prefix. */
static bool invalidates_page(const uint8_t *byte, size_t size)
{
    if (size > 0 && (byte[0] & 0xf0) == 0x40) {
        byte++;
        size--;
    }
    return size >= 3 && byte[0] == 0x0f && byte[1] == 0x01 && (byte[2] >> 3 & 7) == 7 &&
           byte[2] >> 6 != 3;
}

/* How much an instruction of the copy routine stores: mov m, r is 88 and 89, behind prefixes. */
static uint64_t stores(const uint8_t *byte)
{
    uint64_t bytes = 4;

    if (*byte == 0x66) {
        bytes = 2;
        byte++;
    }
    if ((*byte & 0xf0) == 0x40) {
        if (*byte & 8)
            bytes = 8;
        byte++;
    }
    return *byte == 0x88 ? 1 : *byte == 0x89 ? bytes : 0;
}

/* How much an iteration of rep movsb or rep movsq moves. */
static uint64_t string_moves(const uint8_t *byte, size_t size)
{
    if (size == 2 && memcmp(byte, "\xf3\xa4", 2) == 0)
        return 1;
    return size == 3 && memcmp(byte, "\xf3\x48\xa5", 3) == 0 ? 8 : 0;
}

/* rep stosq */
static bool string_stores(const uint8_t *byte, size_t size)
{
    return size == 3 && memcmp(byte, "\xf3\x48\xab", 3) == 0;
}

static void add(struct qemu_plugin_insn *instruction, enum watched what)
{
    qemu_plugin_register_vcpu_insn_exec_inline(instruction, QEMU_PLUGIN_INLINE_ADD_U64,
                                               &watch.all[what], 1);
}

/* QEMU 7.2 adds for loads too, whatever is asked for: what loads as well is counted twice. */
static void add_stored(struct qemu_plugin_insn *instruction, enum watched what, uint64_t bytes)
{
    qemu_plugin_register_vcpu_mem_inline(instruction, QEMU_PLUGIN_MEM_W,
                                         QEMU_PLUGIN_INLINE_ADD_U64, &watch.all[what], bytes);
}

/* A string store of the kernel's. To the upper end of the address space it writes its own variables,
 * which aren't frames (kernel/link.ld, KERNEL_BASE). */
static void kernel_stored(unsigned int cpu, qemu_plugin_meminfo_t info, uint64_t address, void *data)
{
    (void)cpu;
    (void)info;
    (void)data;
    if (address < 0xffffffff80000000)
        watch.all[ZEROED] += 8;
}

static void watch_instruction(struct qemu_plugin_insn *instruction)
{
    const uint8_t *byte = qemu_plugin_insn_data(instruction);
    size_t size = qemu_plugin_insn_size(instruction);
    uint64_t at = qemu_plugin_insn_vaddr(instruction);

    if (at >> 63) {
        uint32_t mark = mark_of(byte, size);

        if (mark != 0)
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, marked, QEMU_PLUGIN_CB_NO_REGS,
                                                   (void *)(uintptr_t)mark);
        if (at == watch.entry || at == watch.interrupt)
            add(instruction, ENTRIES);
        if (loads_cr3(instruction))
            add(instruction, LOADS);
        if (invalidates_page(byte, size))
            add(instruction, PAGES);
        if (string_stores(byte, size))
            qemu_plugin_register_vcpu_mem_cb(instruction, kernel_stored, QEMU_PLUGIN_CB_NO_REGS,
                                             QEMU_PLUGIN_MEM_W, NULL);
        return;
    }
    for (struct code *code = watch.codes; code < watch.codes + CODES; code++) {
        if (at < code->at || at + size > code->at + code->length ||
            memcmp(byte, code->bytes + (at - code->at), size) != 0)
            continue;
        if (code == watch.codes) {
            add(instruction, ROUTINE);
            if (at == code->at)
                add(instruction, COPIES);
        }
        if (string_moves(byte, size) != 0)
            add_stored(instruction, STRINGS, string_moves(byte, size));
        else if (string_stores(byte, size))
            add_stored(instruction, MOVED, 8);
        else if (stores(byte) != 0)
            add_stored(instruction, MOVED, stores(byte));
        return;
    }
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    size_t count = qemu_plugin_tb_n_insns(block);
    enum counter half = qemu_plugin_tb_vaddr(block) >> 63 ? KERNEL : USER;

    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(block, QEMU_PLUGIN_INLINE_ADD_U64, &counters[half],
                                             count);
    for (size_t i = 0; i < count; i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);

        if (loads_cr3(instruction))
            qemu_plugin_register_vcpu_insn_exec_inline(instruction, QEMU_PLUGIN_INLINE_ADD_U64,
                                                       &counters[SPACES], 1);
        if (watch.on)
            watch_instruction(instruction);
    }
}

static int refuse(const char *why)
{
    fprintf(stderr, "count plugin: %s\n", why);
    return -1;
}

/* The value of an argument of this name, or NULL. */
static const char *value(int argc, char **argv, const char *name)
{
    size_t length = strlen(name);

    for (int i = 0; i < argc; i++)
        if (strncmp(argv[i], name, length) == 0 && argv[i][length] == '=')
            return argv[i] + length + 1;
    return NULL;
}

static bool read_address(const char *text, uint64_t *address)
{
    char *end;

    if (text == NULL)
        return false;
    *address = strtoull(text, &end, 16);
    return end != text && *end == '\0';
}

static bool read_code(struct code *code, const char *at, const char *text)
{
    unsigned int byte;

    if (text == NULL || !read_address(at, &code->at))
        return false;
    for (; *text != '\0'; text += 2) {
        if (code->length == sizeof code->bytes || sscanf(text, "%2x", &byte) != 1 || !text[1])
            return false;
        code->bytes[code->length++] = byte;
    }
    return code->length > 0;
}

/* The watched code: the first there must be, the others may. */
static bool read_codes(int argc, char **argv)
{
    static const char *const names[CODES][2] = {
        {"copy", "code"}, {"copy2", "code2"}, {"copy3", "code3"}, {"copy4", "code4"}};

    for (size_t i = 0; i < CODES; i++) {
        const char *at = value(argc, argv, names[i][0]), *text = value(argc, argv, names[i][1]);

        if (i > 0 && at == NULL && text == NULL)
            break;
        if (!read_code(&watch.codes[i], at, text))
            return false;
    }
    return true;
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    const char *name = value(argc, argv, "counters");
    struct stat status;
    size_t words;
    int file;

    if (!info->system_emulation || strcmp(info->target_name, "x86_64") != 0)
        return refuse("it counts on x86_64 machines only");
    if (info->system.smp_vcpus != 1)
        return refuse("it counts on machines with one CPU only");
    if (name == NULL)
        return refuse("it needs the argument counters=FILE");
    watch.on = argc > 1;
    if (watch.on && (!read_address(value(argc, argv, "entry"), &watch.entry) ||
                     !read_address(value(argc, argv, "interrupt"), &watch.interrupt) ||
                     !read_codes(argc, argv)))
        return refuse("it needs all of entry, interrupt, copy and code, in hexadecimal");
    file = open(name, O_RDWR | O_CLOEXEC);
    if (file < 0)
        return refuse("the file for the counters can't be opened");
    if (fstat(file, &status) != 0 ||
        status.st_size < (off_t)((COUNTERS + watch.on) * sizeof *counters)) {
        close(file);
        return refuse("the file for the counters is too short");
    }
    words = status.st_size / sizeof *counters;
    counters =
        mmap(NULL, words * sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (counters == MAP_FAILED)
        return refuse("the file for the counters can't be mapped");
    if (watch.on) {
        watch.records = counters + COUNTERS;
        watch.into = watch.records + 1;
        watch.room = (words - COUNTERS - 1) / WATCHED;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
