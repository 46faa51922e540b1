/* A stand-in for NVIDIA's management library, libnvidia-ml.so.1: as much of its ABI as pynvml's real code needs to
 * watch a host of up to 16 GPUs. What it answers stands in the file that DLROVERD_NVML_FILE names, which is read
 * anew on each call (gpus.py writes it, and replaces it by rename). Without a file the driver is not loaded.
 *
 * One fact a line, words by blanks; G is a GPU's index:
 *   gpus N                       how many there are
 *   model TEXT / memory BYTES    of each of them
 *   uuid G TEXT / minor G N      instead of the made-up ones
 *   process G PID BYTES          computes on it
 *   reserved G BYTES             memory in use that is no process's
 *   ecc G CORRECTED UNCORRECTED  errors
 *   remapped G CORRECTED UNCORRECTED PENDING FAILURE   rows
 *   nvlink G ERRORS / replays G COUNT   errors of its links, transfers repeated on its bus
 *   pcie G GENERATION LANES      its bus, of generation 5 and 16 lanes else
 *   xid G NUMBER                 an event, told once to each event set
 *   temperature G C / power G MILLIWATTS / clocks G SM MEMORY (MHz) / throttle G BITS / utilisation G PERCENT MEMORY
 *   lost G                       every call about it answers GPU_IS_LOST
 *   gone G                       the driver lists it no more; those above move down
 *   fail FUNCTION CODE           the function answers this code
 *   block FUNCTION               the function never returns, and only KILL ends the process
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define GPUS 16
#define PROCESSES 32
#define XIDS 64

enum { /* nvmlReturn_t */
    SUCCESS = 0,
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7,
    DRIVER_NOT_LOADED = 9,
    TIMEOUT = 10,
    GPU_IS_LOST = 15,
};
enum { EVENT_XID = 8 }; /* nvmlEventTypeXidCriticalError */
enum { NVLINK_CRC_FLIT_TOTAL = 38, UNSIGNED_LONG_LONG = 3, LANES = 16 };

typedef unsigned long long u64;

struct process { /* nvmlProcessInfo_v2_t; that of _v3 is the same */
    unsigned pid;
    u64 memory;
    unsigned gpu_instance, compute_instance;
};
struct pci { /* nvmlPciInfo_t */
    char legacy[16];
    unsigned domain, bus, device, device_id, subsystem_id;
    char id[32];
};
struct memory { /* nvmlMemory_t */
    u64 total, free, used;
};
struct memory_v2 { /* nvmlMemory_v2_t */
    unsigned version;
    u64 total, reserved, free, used;
};
struct utilisation { /* nvmlUtilization_t */
    unsigned gpu, memory;
};
struct temperature { /* nvmlTemperature_v1_t */
    unsigned version, sensor;
    int celsius;
};

struct field { /* nvmlFieldValue_t */
    unsigned id, scope;
    long long timestamp, latency_us;
    unsigned type, answer;
    u64 value;
};

struct gpu {
    char uuid[80];
    unsigned minor, celsius, milliwatts, sm_mhz, memory_mhz, busy, memory_busy, processes, remapped[4];
    unsigned replays, generation, lanes;
    u64 corrected, uncorrected, throttle, reserved, nvlink;
    int lost, gone;
    struct process process[PROCESSES];
};
struct host {
    unsigned gpus, xids;
    char model[80];
    u64 memory;
    struct gpu gpu[GPUS];
    struct { unsigned gpu, number; } xid[XIDS];
};

struct handle { unsigned gpu; }; /* what nvmlDevice_t points to */
static struct handle handles[GPUS];

struct event { /* nvmlEventData_t */
    struct handle *device;
    u64 type, data;
    unsigned gpu_instance, compute_instance;
};
struct event_set { /* what nvmlEventSet_t points to */
    u64 types[GPUS];
    unsigned told; /* so many of the file's XIDs were told, or passed over */
};

static int initialised;

static void block(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    for (;;)
        pause();
}

static void take(struct host *host, const char *line)
{
    unsigned g, a, b, c, d;
    u64 x, y;
    char text[80];
    if (sscanf(line, "gpus %u", &a) == 1 && a <= GPUS)
        host->gpus = a;
    else if (sscanf(line, "model %79[^\n]", text) == 1)
        strcpy(host->model, text);
    else if (sscanf(line, "memory %llu", &x) == 1)
        host->memory = x;
    else if (sscanf(line, "uuid %u %79s", &g, text) == 2 && g < GPUS)
        strcpy(host->gpu[g].uuid, text);
    else if (sscanf(line, "minor %u %u", &g, &a) == 2 && g < GPUS)
        host->gpu[g].minor = a;
    else if (sscanf(line, "process %u %u %llu", &g, &a, &x) == 3 && g < GPUS && host->gpu[g].processes < PROCESSES)
        host->gpu[g].process[host->gpu[g].processes++] = (struct process){a, x, -1u, -1u};
    else if (sscanf(line, "reserved %u %llu", &g, &x) == 2 && g < GPUS)
        host->gpu[g].reserved = x;
    else if (sscanf(line, "ecc %u %llu %llu", &g, &x, &y) == 3 && g < GPUS)
        host->gpu[g].corrected = x, host->gpu[g].uncorrected = y;
    else if (sscanf(line, "remapped %u %u %u %u %u", &g, &a, &b, &c, &d) == 5 && g < GPUS)
        memcpy(host->gpu[g].remapped, (unsigned[]){a, b, c, d}, sizeof host->gpu[g].remapped);
    else if (sscanf(line, "nvlink %u %llu", &g, &x) == 2 && g < GPUS)
        host->gpu[g].nvlink = x;
    else if (sscanf(line, "replays %u %u", &g, &a) == 2 && g < GPUS)
        host->gpu[g].replays = a;
    else if (sscanf(line, "pcie %u %u %u", &g, &a, &b) == 3 && g < GPUS)
        host->gpu[g].generation = a, host->gpu[g].lanes = b;
    else if (sscanf(line, "xid %u %u", &g, &a) == 2 && g < GPUS && host->xids < XIDS)
        host->xid[host->xids].gpu = g, host->xid[host->xids++].number = a;
    else if (sscanf(line, "temperature %u %u", &g, &a) == 2 && g < GPUS)
        host->gpu[g].celsius = a;
    else if (sscanf(line, "power %u %u", &g, &a) == 2 && g < GPUS)
        host->gpu[g].milliwatts = a;
    else if (sscanf(line, "clocks %u %u %u", &g, &a, &b) == 3 && g < GPUS)
        host->gpu[g].sm_mhz = a, host->gpu[g].memory_mhz = b;
    else if (sscanf(line, "throttle %u %lli", &g, (long long *)&x) == 2 && g < GPUS)
        host->gpu[g].throttle = x;
    else if (sscanf(line, "utilisation %u %u %u", &g, &a, &b) == 3 && g < GPUS)
        host->gpu[g].busy = a, host->gpu[g].memory_busy = b;
    else if (sscanf(line, "lost %u", &g) == 1 && g < GPUS)
        host->gpu[g].lost = 1;
    else if (sscanf(line, "gone %u", &g) == 1 && g < GPUS)
        host->gpu[g].gone = 1;
    else if (strncmp(line, "fail ", 5) && strncmp(line, "block ", 6)) {
        fprintf(stderr, "nvml stand-in: what is this line? %s", line);
        abort();
    }
}

/* Read the file; what `function` is to answer before it does its work, SUCCESS if nothing hinders it. */
static int host_for(const char *function, struct host *host)
{
    char line[256], name[80];
    int code, answer = SUCCESS;
    const char *path = getenv("DLROVERD_NVML_FILE");
    FILE *file = path ? fopen(path, "re") : NULL;
    memset(host, 0, sizeof *host);
    strcpy(host->model, "NVIDIA Stand-In");
    host->memory = 80ull << 30;
    for (unsigned g = 0; g < GPUS; g++) {
        struct gpu *gpu = &host->gpu[g];
        snprintf(gpu->uuid, sizeof gpu->uuid, "GPU-00000000-0000-4000-8000-%012u", g);
        gpu->minor = g, gpu->celsius = 40, gpu->milliwatts = 100000, gpu->sm_mhz = 1980, gpu->memory_mhz = 2619;
        gpu->generation = 5, gpu->lanes = LANES;
    }
    if (!file)
        return DRIVER_NOT_LOADED;
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "block %79s", name) == 1 && !strcmp(name, function))
            block();
        if (sscanf(line, "fail %79s %d", name, &code) == 2 && !strcmp(name, function))
            answer = code;
        take(host, line);
    }
    fclose(file);
    return answer;
}

/* The same for a function about one GPU. */
static int gpu_for(const char *function, const struct handle *handle, struct host *host, struct gpu **gpu)
{
    int answer = host_for(function, host);
    if (!initialised)
        return UNINITIALIZED;
    if (!handle)
        return INVALID_ARGUMENT;
    *gpu = &host->gpu[handle->gpu];
    return answer ? answer : (*gpu)->lost || (*gpu)->gone ? GPU_IS_LOST : SUCCESS;
}

#define HOST struct host host; int answer = host_for(__func__, &host); if (answer) return answer
#define GPU struct host host; struct gpu *gpu; int answer = gpu_for(__func__, device, &host, &gpu); if (answer) return answer

static int copy(char *to, unsigned size, const char *text)
{
    return (unsigned)snprintf(to, size, "%s", text) < size ? SUCCESS : INSUFFICIENT_SIZE;
}

static u64 used(const struct gpu *gpu)
{
    u64 sum = gpu->reserved;
    for (unsigned i = 0; i < gpu->processes; i++)
        sum += gpu->process[i].memory;
    return sum;
}

/* ---- the library */

int nvmlInitWithFlags(unsigned flags)
{
    HOST;
    (void)flags;
    for (unsigned g = 0; g < GPUS; g++)
        handles[g].gpu = g;
    initialised++;
    return SUCCESS;
}

int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

int nvmlShutdown(void)
{
    if (!initialised)
        return UNINITIALIZED;
    initialised--;
    return SUCCESS;
}

const char *nvmlErrorString(int code)
{
    switch (code) {
    case SUCCESS: return "Success";
    case UNINITIALIZED: return "Uninitialized";
    case INVALID_ARGUMENT: return "Invalid Argument";
    case NOT_SUPPORTED: return "Not Supported";
    case NOT_FOUND: return "Not Found";
    case INSUFFICIENT_SIZE: return "Insufficient Size";
    case DRIVER_NOT_LOADED: return "Driver Not Loaded";
    case TIMEOUT: return "Timeout";
    case GPU_IS_LOST: return "GPU is lost";
    default: return "Unknown Error";
    }
}

int nvmlSystemGetDriverVersion(char *version, unsigned size) { HOST; return copy(version, size, "570.0"); }
int nvmlSystemGetNVMLVersion(char *version, unsigned size) { HOST; return copy(version, size, "12.570.0"); }

int nvmlSystemGetCudaDriverVersion(int *version)
{
    HOST;
    *version = 12080;
    return SUCCESS;
}

int nvmlSystemGetCudaDriverVersion_v2(int *version) { return nvmlSystemGetCudaDriverVersion(version); }

/* ---- which devices there are */

int nvmlDeviceGetCount_v2(unsigned *count)
{
    HOST;
    *count = 0;
    for (unsigned g = 0; g < host.gpus; g++)
        *count += !host.gpu[g].gone;
    return initialised ? SUCCESS : UNINITIALIZED;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, struct handle **device)
{
    HOST;
    if (!initialised)
        return UNINITIALIZED;
    for (unsigned g = 0; g < host.gpus; g++)
        if (!host.gpu[g].gone && !index--) {
            *device = &handles[g];
            return host.gpu[g].lost ? GPU_IS_LOST : SUCCESS;
        }
    return INVALID_ARGUMENT;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, struct handle **device)
{
    HOST;
    for (unsigned g = 0; g < host.gpus; g++)
        if (!host.gpu[g].gone && !strcmp(host.gpu[g].uuid, uuid)) {
            *device = &handles[g];
            return host.gpu[g].lost ? GPU_IS_LOST : SUCCESS;
        }
    return NOT_FOUND;
}

int nvmlDeviceGetIndex(struct handle *device, unsigned *index)
{
    GPU;
    *index = 0;
    for (unsigned g = 0; g < device->gpu; g++)
        *index += !host.gpu[g].gone;
    return SUCCESS;
}

int nvmlDeviceGetUUID(struct handle *device, char *uuid, unsigned size) { GPU; return copy(uuid, size, gpu->uuid); }
int nvmlDeviceGetName(struct handle *device, char *name, unsigned size) { GPU; return copy(name, size, host.model); }

int nvmlDeviceGetSerial(struct handle *device, char *serial, unsigned size)
{
    char text[16];
    GPU;
    if (device->gpu == 7) /* a board of another make */
        return NOT_SUPPORTED;
    snprintf(text, sizeof text, "13200210%05u", device->gpu);
    return copy(serial, size, text);
}

int nvmlDeviceGetMinorNumber(struct handle *device, unsigned *minor)
{
    GPU;
    *minor = gpu->minor;
    return SUCCESS;
}

int nvmlDeviceGetPciInfo_v3(struct handle *device, struct pci *pci)
{
    GPU;
    memset(pci, 0, sizeof *pci);
    pci->bus = 0x10 + device->gpu;
    snprintf(pci->legacy, sizeof pci->legacy, "0000:%02X:00.0", pci->bus);
    snprintf(pci->id, sizeof pci->id, "00000000:%02X:00.0", pci->bus);
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo(struct handle *device, struct memory *memory)
{
    GPU;
    *memory = (struct memory){host.memory, host.memory - used(gpu), used(gpu)};
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo_v2(struct handle *device, struct memory_v2 *memory)
{
    GPU;
    *memory = (struct memory_v2){memory->version, host.memory, 0, host.memory - used(gpu), used(gpu)};
    return SUCCESS;
}

/* ---- who computes on them */

int nvmlDeviceGetComputeRunningProcesses_v3(struct handle *device, unsigned *count, struct process *processes)
{
    GPU;
    unsigned room = *count;
    *count = gpu->processes;
    if (room < gpu->processes)
        return INSUFFICIENT_SIZE;
    memcpy(processes, gpu->process, gpu->processes * sizeof *processes);
    return SUCCESS;
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(struct handle *device, unsigned *count, struct process *processes)
{
    GPU;
    (void)processes;
    *count = 0;
    return SUCCESS;
}

int nvmlDeviceGetMPSComputeRunningProcesses_v3(struct handle *device, unsigned *count, struct process *processes)
{
    return nvmlDeviceGetGraphicsRunningProcesses_v3(device, count, processes);
}

/* ---- how they are */

int nvmlDeviceGetTemperature(struct handle *device, unsigned sensor, unsigned *celsius)
{
    GPU;
    (void)sensor;
    *celsius = gpu->celsius;
    return SUCCESS;
}

int nvmlDeviceGetTemperatureV(struct handle *device, struct temperature *temperature)
{
    GPU;
    temperature->celsius = gpu->celsius;
    return SUCCESS;
}

int nvmlDeviceGetPowerUsage(struct handle *device, unsigned *milliwatts)
{
    GPU;
    *milliwatts = gpu->milliwatts;
    return SUCCESS;
}

int nvmlDeviceGetEnforcedPowerLimit(struct handle *device, unsigned *milliwatts)
{
    GPU;
    *milliwatts = 700000;
    return SUCCESS;
}

int nvmlDeviceGetClockInfo(struct handle *device, unsigned type, unsigned *mhz)
{
    GPU;
    *mhz = type == 2 ? gpu->memory_mhz : gpu->sm_mhz; /* NVML_CLOCK_MEM */
    return SUCCESS;
}

int nvmlDeviceGetMaxClockInfo(struct handle *device, unsigned type, unsigned *mhz)
{
    GPU;
    *mhz = type == 2 ? 2619 : 1980;
    return SUCCESS;
}

int nvmlDeviceGetCurrentClocksEventReasons(struct handle *device, u64 *bits)
{
    GPU;
    *bits = gpu->throttle;
    return SUCCESS;
}

int nvmlDeviceGetCurrentClocksThrottleReasons(struct handle *device, u64 *bits)
{
    return nvmlDeviceGetCurrentClocksEventReasons(device, bits);
}

int nvmlDeviceGetUtilizationRates(struct handle *device, struct utilisation *rates)
{
    GPU;
    *rates = (struct utilisation){gpu->busy, gpu->memory_busy};
    return SUCCESS;
}

int nvmlDeviceGetTotalEccErrors(struct handle *device, unsigned type, unsigned counter, u64 *count)
{
    GPU;
    (void)counter;
    *count = type ? gpu->uncorrected : gpu->corrected;
    return SUCCESS;
}

int nvmlDeviceGetRemappedRows(struct handle *device, unsigned *corrected, unsigned *uncorrected, unsigned *pending,
                              unsigned *failure)
{
    GPU;
    *corrected = gpu->remapped[0], *uncorrected = gpu->remapped[1];
    *pending = gpu->remapped[2], *failure = gpu->remapped[3];
    return SUCCESS;
}

int nvmlDeviceGetPcieReplayCounter(struct handle *device, unsigned *count)
{
    GPU;
    *count = gpu->replays;
    return SUCCESS;
}

int nvmlDeviceGetCurrPcieLinkGeneration(struct handle *device, unsigned *generation)
{
    GPU;
    *generation = gpu->generation;
    return SUCCESS;
}

int nvmlDeviceGetCurrPcieLinkWidth(struct handle *device, unsigned *lanes)
{
    GPU;
    *lanes = gpu->lanes;
    return SUCCESS;
}

int nvmlDeviceGetMaxPcieLinkWidth(struct handle *device, unsigned *lanes)
{
    GPU;
    *lanes = LANES;
    return SUCCESS;
}

int nvmlDeviceGetFieldValues(struct handle *device, int count, struct field *fields)
{
    GPU;
    for (int i = 0; i < count; i++) {
        fields[i].answer = fields[i].id == NVLINK_CRC_FLIT_TOTAL ? SUCCESS : NOT_SUPPORTED;
        fields[i].type = UNSIGNED_LONG_LONG;
        fields[i].value = gpu->nvlink;
    }
    return SUCCESS;
}

/* ---- events */

int nvmlDeviceGetSupportedEventTypes(struct handle *device, u64 *types)
{
    GPU;
    *types = EVENT_XID;
    return SUCCESS;
}

int nvmlEventSetCreate(struct event_set **set)
{
    HOST;
    *set = calloc(1, sizeof **set);
    return SUCCESS;
}

int nvmlDeviceRegisterEvents(struct handle *device, u64 types, struct event_set *set)
{
    GPU;
    set->types[device->gpu] |= types;
    return SUCCESS;
}

int nvmlEventSetWait_v2(struct event_set *set, struct event *event, unsigned timeout_ms)
{
    for (unsigned waited_ms = 0;; waited_ms += 10) {
        HOST;
        while (set->told < host.xids) {
            unsigned gpu = host.xid[set->told].gpu, number = host.xid[set->told].number;
            set->told++;
            if (set->types[gpu] & EVENT_XID) {
                *event = (struct event){&handles[gpu], EVENT_XID, number, -1u, -1u};
                return SUCCESS;
            }
        }
        if (waited_ms >= timeout_ms)
            return TIMEOUT;
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    }
}

int nvmlEventSetFree(struct event_set *set)
{
    free(set);
    return SUCCESS;
}
