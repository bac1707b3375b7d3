"""What of elfutils' libdwfl.h and libdw.h is used, and of libc's stdio.h and stdlib.h."""

from __future__ import annotations

from typing import Final

DECLARATIONS: Final = """
typedef struct Dwfl Dwfl;
typedef struct Dwfl_Module Dwfl_Module;
typedef struct Dwfl_Thread Dwfl_Thread;
typedef struct Dwfl_Frame Dwfl_Frame;
typedef struct Dwfl_Line Dwfl_Line;
typedef struct Elf Elf;
typedef uint64_t Dwarf_Addr;
typedef uint64_t Dwarf_Word;
typedef struct {
    uint32_t st_name;
    unsigned char st_info, st_other;
    uint16_t st_shndx;
    uint64_t st_value, st_size;
} GElf_Sym;
typedef struct Dwarf_Files Dwarf_Files;
typedef struct { void *addr, *cu, *abbrev; long padding; } Dwarf_Die;
typedef struct { unsigned code, form; void *valp, *cu; } Dwarf_Attribute;

typedef struct {
    void *find_elf, *find_debuginfo, *section_address;
    char **debuginfo_path;
} Dwfl_Callbacks;

typedef struct {
    int (*next_thread)(Dwfl *, void *, void **);
    bool (*get_thread)(Dwfl *, int, void *, void **);
    bool (*memory_read)(Dwfl *, Dwarf_Addr, Dwarf_Word *, void *);
    bool (*set_initial_registers)(Dwfl_Thread *, void *);
    void (*detach)(Dwfl *, void *);
    void (*thread_detach)(Dwfl_Thread *, void *);
} Dwfl_Thread_Callbacks;

Dwfl *dwfl_begin(const Dwfl_Callbacks *);
void dwfl_end(Dwfl *);
void dwfl_report_begin(Dwfl *);
int dwfl_report_end(Dwfl *, void *, void *);
int dwfl_linux_proc_maps_report(Dwfl *, FILE *);
bool dwfl_attach_state(Dwfl *, Elf *, int, const Dwfl_Thread_Callbacks *, void *);
int dwfl_getthread_frames(Dwfl *, int, int (*)(Dwfl_Frame *, void *), void *);
bool dwfl_frame_pc(Dwfl_Frame *, Dwarf_Addr *, bool *);
bool dwfl_thread_state_registers(Dwfl_Thread *, int, unsigned, const Dwarf_Word *);
Dwfl_Module *dwfl_addrmodule(Dwfl *, Dwarf_Addr);
const char *dwfl_module_info(Dwfl_Module *, void ***, Dwarf_Addr *, Dwarf_Addr *, Dwarf_Addr *,
                             Dwarf_Addr *, const char **, const char **);
const char *dwfl_module_addrinfo(Dwfl_Module *, Dwarf_Addr, uint64_t *, GElf_Sym *, uint32_t *,
                                 Elf **, Dwarf_Addr *);
Dwfl_Line *dwfl_module_getsrc(Dwfl_Module *, Dwarf_Addr);
Dwarf_Die *dwfl_module_addrdie(Dwfl_Module *, Dwarf_Addr, Dwarf_Addr *);
int dwarf_getscopes(Dwarf_Die *, Dwarf_Addr, Dwarf_Die **);
int dwarf_getscopes_die(Dwarf_Die *, Dwarf_Die **);
int dwarf_tag(Dwarf_Die *);
const char *dwarf_diename(Dwarf_Die *);
Dwarf_Attribute *dwarf_attr(Dwarf_Die *, unsigned, Dwarf_Attribute *);
int dwarf_formudata(Dwarf_Attribute *, Dwarf_Word *);
int dwarf_getsrcfiles(Dwarf_Die *, Dwarf_Files **, size_t *);
const char *dwarf_filesrc(Dwarf_Files *, size_t, void *, void *);
const char *dwfl_lineinfo(Dwfl_Line *, Dwarf_Addr *, int *, int *, void *, void *);
int dwfl_linux_proc_find_elf(void);
int dwfl_standard_find_debuginfo(void);
"""

OF_LIBC: Final = """
FILE *fmemopen(void *, size_t, const char *);
int fclose(FILE *);
int unsetenv(const char *);
void free(void *);
"""

OF_LIBSTDCXX: Final = """
char *__cxa_demangle(const char *, char *, size_t *, int *);
"""
