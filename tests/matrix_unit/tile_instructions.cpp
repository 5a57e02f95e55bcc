// The instructions of a matrix unit, for processors without one: what is compiled for AMX runs here as well.
//
// A processor that does not know an instruction sends SIGILL. The handler decodes it, does what the manual says (Intel,
// "Software Developer's Manual", volume 2: LDTILECFG, TILELOADD, TILESTORED, TILEZERO, TDPBF16PS, TILERELEASE), number
// by number, and goes on behind it. Where there is such a unit no signal comes, and the tests run on it.

#include <array>
#include <bit>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include <sys/syscall.h>
#include <ucontext.h>

namespace {

constexpr std::size_t tiles = 8;
constexpr std::size_t most_rows = 16;
constexpr std::size_t most_row_bytes = 64;

// What an instruction is answered with, instead of being carried out: an exception of the processor.
enum class Outcome { done, invalid_opcode, general_protection };

// A tile register, configured as [rows, row_bytes]; beyond these it holds zeros.
struct Tile {
  std::size_t rows = 0;
  std::size_t row_bytes = 0;
  std::array<std::array<std::uint8_t, most_row_bytes>, most_rows> bytes{};

  template <class Value>
  [[nodiscard]] Value at(std::size_t row, std::size_t column) const {
    Value value;
    std::memcpy(&value, bytes[row].data() + column * sizeof(Value), sizeof(Value));
    return value;
  }
  void set(std::size_t row, std::size_t column, float value) {
    std::memcpy(bytes[row].data() + column * sizeof(value), &value, sizeof(value));
  }
  void clear() { bytes = {}; }
};

// The tiles of a thread. Palette 0 is the state in which no tile may be used.
struct TileState {
  std::uint8_t palette = 0;
  std::array<Tile, tiles> tile{};
};
thread_local TileState state;

// ---- What the instructions do ---------------------------------------------------------------------------------------

Outcome load_configuration(const std::uint8_t* memory) {
  constexpr std::size_t start_row = 1;
  constexpr std::size_t row_bytes = 16;  // two bytes a tile
  constexpr std::size_t rows = 48;       // one
  constexpr std::size_t size = 64;
  std::array<std::uint8_t, size> configuration;
  std::memcpy(configuration.data(), memory, size);
  const std::uint8_t palette = configuration[0];
  if (palette == 0) {
    state = {};
    return Outcome::done;
  }
  if (palette != 1 || configuration[start_row] != 0) {  // an instruction that was interrupted is none of ours
    return Outcome::general_protection;
  }
  TileState next;
  next.palette = palette;
  for (std::size_t byte = start_row + 1; byte < size; ++byte) {
    const bool is_reserved = byte < row_bytes || (byte >= row_bytes + 2 * tiles && byte < rows) || byte >= rows + tiles;
    if (is_reserved && configuration[byte] != 0) {
      return Outcome::general_protection;
    }
  }
  for (std::size_t number = 0; number < tiles; ++number) {
    Tile& tile = next.tile[number];
    tile.row_bytes =
        std::size_t{configuration[row_bytes + 2 * number]} + configuration[row_bytes + 2 * number + 1] * 256U;
    tile.rows = configuration[rows + number];
    if (tile.row_bytes > most_row_bytes || tile.rows > most_rows || (tile.rows == 0) != (tile.row_bytes == 0)) {
      return Outcome::general_protection;
    }
  }
  state = next;
  return Outcome::done;
}

// The unit takes what is below the smallest normal number for zero.
float without_subnormals(float value) {
  return std::abs(value) < (std::numeric_limits<float>::min)() ? std::copysign(0.0F, value) : value;
}

float from_bfloat16(std::uint16_t value) { return std::bit_cast<float>(std::uint32_t{value} << 16U); }

// C += A B, pairs of bfloat16. Within the instruction the even and the odd members of pairs are summed apart.
Outcome multiply(Tile& c, const Tile& a, const Tile& b) {
  if (&c == &a || &c == &b || &a == &b || a.row_bytes % 4 != 0 || b.row_bytes % 4 != 0 || c.row_bytes % 4 != 0 ||
      a.row_bytes / 4 != b.rows || c.rows != a.rows || c.row_bytes != b.row_bytes) {
    return Outcome::invalid_opcode;
  }
  for (std::size_t row = 0; row < c.rows; ++row) {
    for (std::size_t column = 0; column < c.row_bytes / 4; ++column) {
      std::array<float, 2> sum{};
      for (std::size_t pair = 0; pair < b.rows; ++pair) {
        for (std::size_t member = 0; member < 2; ++member) {
          const float left = without_subnormals(from_bfloat16(a.at<std::uint16_t>(row, 2 * pair + member)));
          const float right = without_subnormals(from_bfloat16(b.at<std::uint16_t>(pair, 2 * column + member)));
          sum[member] = without_subnormals(std::fma(left, right, sum[member]));
        }
      }
      const float of_both = without_subnormals(sum[0] + sum[1]);
      c.set(row, column, without_subnormals(without_subnormals(c.at<float>(row, column)) + of_both));
    }
  }
  return Outcome::done;
}

// ---- What an instruction says ---------------------------------------------------------------------------------------

// Registers in the order of their numbers.
constexpr std::array<int, 16> general_registers = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                                   REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                                   REG_R12, REG_R13, REG_R14, REG_R15};

// An instruction of the tiles: VEX prefix of three bytes, opcode, ModRM, and what address follows.
struct Instruction {
  std::uint8_t prefix = 0;  // none, 66, F3 and F2, as 0 to 3
  std::uint8_t opcode = 0;
  bool on_memory = false;
  std::size_t tile = 0;        // ModRM.reg
  std::size_t left = 0;        // ModRM.rm
  std::size_t right = 0;       // VEX.vvvv
  std::uintptr_t address = 0;  // without the index
  std::ptrdiff_t index = 0;    // scaled: a stride, or a part of the address
  std::size_t length = 0;      // in bytes; 0 for what is no instruction of the tiles
};

Instruction decode(const mcontext_t& context) {
  const auto value_of = [&](std::size_t number) {
    return static_cast<std::uintptr_t>(context.gregs[general_registers[number]]);
  };
  const std::uintptr_t start = static_cast<std::uintptr_t>(context.gregs[REG_RIP]);
  const auto* code = reinterpret_cast<const std::uint8_t*>(start);
  constexpr std::uint8_t three_byte_vex = 0xC4;
  constexpr std::uint8_t map_0f38 = 2;
  const bool is_wide_or_long = (code[2] & 0x84U) != 0;  // VEX.W, VEX.L
  if (code[0] != three_byte_vex || (code[1] & 0x1FU) != map_0f38 || is_wide_or_long || (code[1] & 0x80U) == 0) {
    return {};
  }
  const std::size_t index_high = (code[1] & 0x40U) == 0 ? 8 : 0;
  const std::size_t base_high = (code[1] & 0x20U) == 0 ? 8 : 0;
  const std::uint8_t mode = code[4] >> 6U;
  Instruction found;
  found.prefix = code[2] & 3U;
  found.opcode = code[3];
  found.right = ~(code[2] >> 3U) & 0xFU;
  found.tile = (code[4] >> 3U) & 7U;
  found.left = code[4] & 7U;
  found.on_memory = mode != 3;
  found.length = 5;
  if (!found.on_memory) {
    return found;
  }
  bool has_base = true;
  std::size_t base = found.left;
  if (found.left == 4) {
    const std::uint8_t scale_index_base = code[found.length++];
    base = scale_index_base & 7U;
    const std::size_t index = ((scale_index_base >> 3U) & 7U) + index_high;
    if (index != 4) {  // the stack pointer's number: none
      found.index = static_cast<std::ptrdiff_t>(value_of(index) << (scale_index_base >> 6U));
    }
    has_base = base != 5 || mode != 0;
  }
  const bool is_relative = found.left == 5 && mode == 0;  // to the next instruction
  std::ptrdiff_t displacement = 0;
  if (mode == 1) {
    displacement = static_cast<std::int8_t>(code[found.length]);
    found.length += 1;
  } else if (mode == 2 || is_relative || !has_base) {
    std::int32_t value;
    std::memcpy(&value, code + found.length, sizeof(value));
    displacement = value;
    found.length += sizeof(value);
  }
  const std::uintptr_t origin = is_relative ? start + found.length : has_base ? value_of(base + base_high) : 0;
  found.address = origin + static_cast<std::uintptr_t>(displacement);
  return found;
}

Outcome carry_out(const Instruction& instruction) {
  constexpr std::uint8_t configure = 0x49;
  constexpr std::uint8_t move = 0x4B;
  constexpr std::uint8_t dot_products = 0x5C;
  enum Prefix : std::uint8_t { none, prefix_66, prefix_f3, prefix_f2 };
  const auto row_of = [&](std::size_t row) {
    return reinterpret_cast<std::uint8_t*>(instruction.address + row * static_cast<std::uintptr_t>(instruction.index));
  };
  if (instruction.opcode == configure && instruction.prefix == none) {
    if (instruction.on_memory) {
      return load_configuration(row_of(1));
    }
    state = {};
    return Outcome::done;
  }
  const auto is_usable = [](std::size_t number) { return number < tiles && state.tile[number].rows != 0; };
  if (!is_usable(instruction.tile)) {
    return Outcome::invalid_opcode;
  }
  Tile& tile = state.tile[instruction.tile];
  if (instruction.opcode == configure && instruction.prefix == prefix_f2 && !instruction.on_memory) {
    tile.clear();
    return Outcome::done;
  }
  if (instruction.opcode == move && instruction.on_memory && instruction.left == 4) {
    const bool stores = instruction.prefix == prefix_f3;
    if (!stores) {
      tile.clear();
    }
    for (std::size_t row = 0; row < tile.rows; ++row) {
      if (stores) {
        std::memcpy(row_of(row), tile.bytes[row].data(), tile.row_bytes);
      } else {
        std::memcpy(tile.bytes[row].data(), row_of(row), tile.row_bytes);
      }
    }
    return Outcome::done;
  }
  if (instruction.opcode == dot_products && instruction.prefix == prefix_f3 && !instruction.on_memory &&
      is_usable(instruction.left) && is_usable(instruction.right)) {
    return multiply(tile, state.tile[instruction.left], state.tile[instruction.right]);
  }
  return Outcome::invalid_opcode;
}

void handle(int /*signal*/, siginfo_t* /*information*/, void* user_context) {
  mcontext_t& context = static_cast<ucontext_t*>(user_context)->uc_mcontext;
  const Instruction instruction = decode(context);
  const Outcome outcome = instruction.length == 0 ? Outcome::invalid_opcode : carry_out(instruction);
  if (outcome == Outcome::done) {
    context.gregs[REG_RIP] += static_cast<greg_t>(instruction.length);
    return;
  }
  // As without this file: the instruction is met again, or what it would have raised is.
  std::signal(SIGILL, SIG_DFL);
  if (outcome == Outcome::general_protection) {
    std::raise(SIGSEGV);
  }
}

const bool is_installed = [] {
  struct sigaction action {};
  action.sa_sigaction = &handle;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  return sigaction(SIGILL, &action, nullptr) == 0;
}();

}  // namespace

// The linker leads calls of `syscall` here (--wrap). A kernel that knows of no tiles refuses them.
extern "C" long __real_syscall(long number, ...) noexcept;  // NOLINT(bugprone-reserved-identifier)
extern "C" long __wrap_syscall(long number, ...) noexcept;  // NOLINT(bugprone-reserved-identifier)
long __wrap_syscall(long number, ...) noexcept {            // NOLINT(bugprone-reserved-identifier)
  std::va_list list;
  va_start(list, number);
  std::array<long, 6> argument;  // as many as a system call has at most
  for (long& value : argument) {
    value = va_arg(list, long);
  }
  va_end(list);
  const long result =
      __real_syscall(number, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]);
  constexpr long ask_for_state = 0x1023;
  return number == SYS_arch_prctl && argument[0] == ask_for_state && is_installed ? 0 : result;
}
