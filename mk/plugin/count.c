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

typedef void (*qemu_plugin_vcpu_tb_trans_cb_t)(qemu_plugin_id_t, struct qemu_plugin_tb *);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, qemu_plugin_vcpu_tb_trans_cb_t);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, enum qemu_plugin_op, void *,
                                              uint64_t);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *, enum qemu_plugin_op,
                                                void *, uint64_t);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);

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
    }
}

static int refuse(const char *why)
{
    fprintf(stderr, "count plugin: %s\n", why);
    return -1;
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    static const char option[] = "counters=";
    struct stat status;
    void *mapped;
    int file;

    if (!info->system_emulation || strcmp(info->target_name, "x86_64") != 0)
        return refuse("it counts on x86_64 machines only");
    if (info->system.smp_vcpus != 1)
        return refuse("it counts on machines with one CPU only");
    if (argc != 1 || strncmp(argv[0], option, sizeof option - 1) != 0)
        return refuse("its argument must be counters=FILE");
    file = open(argv[0] + sizeof option - 1, O_RDWR | O_CLOEXEC);
    if (file < 0)
        return refuse("the file for the counters can't be opened");
    if (fstat(file, &status) != 0 || status.st_size < (off_t)(COUNTERS * sizeof *counters)) {
        close(file);
        return refuse("the file for the counters is too short");
    }
    mapped = mmap(NULL, COUNTERS * sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (mapped == MAP_FAILED)
        return refuse("the file for the counters can't be mapped");
    counters = mapped;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
